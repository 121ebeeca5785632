//! Times as SDKs write them (floor 2, pure): ISO 8601 with or without an offset, or seconds since the epoch.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// The time of a member, to the millisecond; `None` for what isn't a time of the calendar.
pub(super) fn of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(seconds) => of_seconds(seconds.as_f64()?),
        Value::String(text) => of_text(text.trim()),
        _ => None,
    }
}

fn of_seconds(seconds: f64) -> Option<Timestamp> {
    // A cast of a float saturates, and the calendar refuses what that gives.
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

fn of_text(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    // Without an offset it is UTC, as the protocol says.
    let plain: Option<DateTime> = text.parse().ok();
    match plain {
        Some(plain) => TimeZone::UTC.to_timestamp(plain).ok(),
        None => text.parse().ok().and_then(of_seconds),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_the_same_moment() {
        for written in [
            json!(1_750_000_000.25),
            json!("1750000000.25"),
            json!("2025-06-15T15:06:40.25Z"),
            json!("2025-06-15T15:06:40.250000"),
            json!("2025-06-15 17:06:40.25+02:00"),
        ] {
            assert_eq!(
                of(&written).map(Timestamp::as_millisecond),
                Some(1_750_000_000_250),
                "{written}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for written in [
            json!(1e300),
            json!(-1e300),
            json!("soon"),
            json!(""),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(of(&written), None, "{written}");
        }
    }
}
