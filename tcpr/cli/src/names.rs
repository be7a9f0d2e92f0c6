//! How connections, patterns and times are written on the command line.

use std::net::SocketAddr;
use std::time::Duration;

use tcpr::{Flow, Pattern};

/// `ADDRESS:PORT`, `->ADDRESS:PORT`, or `LOCAL->REMOTE`.
///
/// # Errors
///
/// What it should have been.
pub fn pattern(text: &str) -> Result<Pattern, String> {
    match text.split_once("->") {
        None => Ok(Pattern::Local(socket(text)?)),
        Some(("", remote)) => Ok(Pattern::Remote(socket(remote)?)),
        Some((local, remote)) => Ok(Pattern::Flow(of_one_family(local, remote)?)),
    }
}

/// `LOCAL-REMOTE`, as it is shown.
///
/// # Errors
///
/// What it should have been.
pub fn flow(text: &str) -> Result<Flow, String> {
    match text.split_once("->").or_else(|| text.split_once('-')) {
        Some((local, remote)) => of_one_family(local, remote),
        None => Err("a connection is LOCAL-REMOTE, each ADDRESS:PORT".to_owned()),
    }
}

/// A number with a unit, as `120s` or `2m`.
///
/// # Errors
///
/// What it should have been.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "a time is a number with a unit, as 120s or 500ms".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "a time is not negative".to_owned())
}

/// `ADDRESS:PORT`.
///
/// # Errors
///
/// What it should have been.
pub fn socket(text: &str) -> Result<SocketAddr, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is no ADDRESS:PORT, as 192.0.2.1:179 or [2001:db8::1]:179"))
}

fn of_one_family(local: &str, remote: &str) -> Result<Flow, String> {
    let (local, remote) = (socket(local)?, socket(remote)?);
    if local.is_ipv4() != remote.is_ipv4() {
        return Err("both sides of a connection are IPv4, or both are IPv6".to_owned());
    }
    Ok(Flow { local, remote })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_shown_can_be_given() {
        for text in [
            "192.0.2.1:179",
            "0.0.0.0:80",
            "[::1]:8080",
            "->192.0.2.1:179",
            "[2001:db8::1]:4000->[2001:db8::2]:179",
        ] {
            assert_eq!(pattern(text).unwrap().to_string(), text);
        }
        let shown = Flow {
            local: "[2001:db8::1]:4000".parse().unwrap(),
            remote: "[2001:db8::2]:179".parse().unwrap(),
        };
        assert_eq!(flow(&shown.to_string()).unwrap(), shown);
        assert_eq!(flow("[2001:db8::1]:4000-[2001:db8::2]:179").unwrap(), shown);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, told) in [
            ("10.0.0.2", "ADDRESS:PORT"),
            ("::1:80", "[2001:db8::1]:179"),
            ("10.0.0.2:99999", "ADDRESS:PORT"),
            ("10.0.0.2:1->[::1]:2", "IPv6"),
        ] {
            let error = pattern(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert!(flow("10.0.0.2:1").is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("120s").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert!(duration("12").is_err());
        assert!(duration("-3s").is_err());
    }
}
