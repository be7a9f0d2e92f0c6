//! What daemons complain of in their logs.
//!
//! *Assumes* whole lines. *Guarantees* that a line which is not understood is a complaint: what a
//! daemon says outside of its log's format (a panic, a message of the C library) is the worst.

/// How bad it is, by what the daemon says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Complaint {
    /// It warns.
    Warning,
    /// Something failed.
    Error,
    /// It stood still for seconds, or lost what it was told: it did not do what a router does.
    Fatal,
}

/// A line that is known, and why it is no complaint.
#[derive(Debug, Clone, Copy)]
pub struct Harmless {
    /// What stands in it.
    pub part: &'static str,
    /// Why it is harmless.
    pub reason: &'static str,
}

/// Whether a line is known to be harmless.
#[must_use]
pub fn is_harmless(line: &str, known: &[Harmless]) -> bool {
    known.iter().any(|h| line.contains(h.part))
}

/// What a line of a program of this project complains of: its messages for people go to standard
/// error, as the crate tracing writes them (`2026-01-02T03:04:05.678901Z  WARN tcpr::serve: ...`).
#[must_use]
pub fn of_tracing(line: &str) -> Option<Complaint> {
    match line.split_whitespace().nth(1) {
        Some("WARN") => Some(Complaint::Warning),
        Some("INFO" | "DEBUG" | "TRACE") => None,
        _ if line.trim().is_empty() => None,
        _ => Some(Complaint::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_from_what_is_worse_and_from_what_was_asked_for() {
        let at = "2026-01-02T03:04:05.678901Z ";
        for (line, complaint) in [
            (
                format!("{at} WARN tcpr::serve: x"),
                Some(Complaint::Warning),
            ),
            (format!("{at}ERROR tcpr::serve: x"), Some(Complaint::Error)),
            (format!("{at}DEBUG tcpr::serve: an ERROR"), None),
            (String::new(), None),
            (
                "thread 'main' panicked at src/main.rs:1:1:".to_owned(),
                Some(Complaint::Error),
            ),
            ("x".to_owned(), Some(Complaint::Error)),
        ] {
            assert_eq!(of_tracing(&line), complaint, "{line}");
        }
    }
}
