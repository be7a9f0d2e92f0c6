//! Names of attempts at a run.
//!
//! *Assumes* that a run's own name has no dot in it. *Guarantees* that the first attempt has that name,
//! that each later one has its number behind it, and that the way back is without doubt.

/// Name of an attempt at a run, and of its directory: `RUN`, then `RUN.2`, `RUN.3`, ...
#[must_use]
pub fn attempt_id(run_id: &str, attempt: u32) -> String {
    match attempt {
        0 | 1 => run_id.to_owned(),
        n => format!("{run_id}.{n}"),
    }
}

/// The run that a name is an attempt at, and the number of the attempt.
#[must_use]
pub fn run_and_attempt(name: &str) -> (&str, u32) {
    let numbered = name.rsplit_once('.').and_then(|(run_id, n)| {
        let attempt: u32 = n.parse().ok()?;
        (attempt > 1 && attempt_id(run_id, attempt) == name).then_some((run_id, attempt))
    });
    numbered.unwrap_or((name, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_told_from_its_name() {
        for (run_id, attempt, name) in [
            ("none-0000-ab", 1, "none-0000-ab"),
            ("none-0000-ab", 2, "none-0000-ab.2"),
            ("none-0000-ab", 10, "none-0000-ab.10"),
        ] {
            assert_eq!(attempt_id(run_id, attempt), name);
            assert_eq!(run_and_attempt(name), (run_id, attempt));
        }
        for odd in ["a.1", "a.0", "a.02", "a.+2", "a.b", "a."] {
            assert_eq!(run_and_attempt(odd), (odd, 1));
        }
    }
}
