//! When a token ends, as people write it (floor 8): a span from now, or a point in time.

use std::time::Duration;

use jiff::Timestamp;

/// A span or a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Expiry {
    /// So long from now.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    /// The time it means at `now`; a span beyond the calendar ends with the calendar.
    pub(super) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Expiry::In(span) => now.checked_add(span).unwrap_or(Timestamp::MAX),
            Expiry::At(time) => time,
        }
    }
}

/// Reads `30d`, `12h`, `45m`, `90s`, `8w` or an RFC 3339 time.
pub(super) fn parse(text: &str) -> Result<Expiry, String> {
    const ALLOWED: &str = "must be a span such as 30d, 12h, 45m, 90s or 8w, or a time such as 2030-01-01T00:00:00Z";
    if let Ok(time) = text.parse() {
        return Ok(Expiry::At(time));
    }
    span(text).map(Expiry::In).ok_or_else(|| ALLOWED.into())
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_read() {
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("30d", "2025-07-01T12:00:00Z"),
            ("12h", "2025-06-02T00:00:00Z"),
            ("45m", "2025-06-01T12:45:00Z"),
            ("90s", "2025-06-01T12:01:30Z"),
            ("1w", "2025-06-08T12:00:00Z"),
            ("2030-01-01T01:00:00+01:00", "2030-01-01T00:00:00Z"),
        ] {
            assert_eq!(parse(text).unwrap().after(now), expected.parse().unwrap(), "{text}");
        }
        assert_eq!(parse("99999999999d").unwrap().after(now), Timestamp::MAX);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        for text in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "30D",
            "1y",
            "é",
            "2030-01-01",
            "99999999999999999999d",
            "18446744073709551615w",
        ] {
            assert!(parse(text).unwrap_err().contains("30d"), "{text}");
        }
    }
}
