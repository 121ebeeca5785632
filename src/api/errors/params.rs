//! The parameters of the error list (floor 6, pure): each is checked, and an error names what is allowed.

use jiff::{SignedDuration, Timestamp};

use crate::clock::epoch_ms;
use crate::events::query::{Filter, GroupStatus, List, Position, search};
use crate::events::{ErrorType, Field, Severity, group_number};
use crate::http::Query;
use crate::http::{ApiResult, Problem};

/// What the list understands besides the fields of [`Field::ALL`]; `tag.NAME` stands for any tag.
const ALLOWED: [&str; 13] = [
    "limit",
    "cursor",
    "type",
    "severity",
    "since",
    "until",
    "group",
    "status",
    "q",
    "count",
    "histogram",
    "tag",
    "tag.NAME",
];
pub(in crate::api) const DEFAULT_LIMIT: u64 = 50;
pub(in crate::api) const MAX_LIMIT: u64 = 500;
/// Longest search, in bytes.
const MOST_SEARCH_BYTES: usize = 1000;

/// The list that the parameters ask for; relative times count from `now`.
///
/// # Errors
/// 400 naming the parameter.
pub(in crate::api) fn list(parameters: &Query, now: Timestamp) -> ApiResult<List> {
    only_known(parameters)?;
    let limit = parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let truth = |name: &'static str| parameters.text(name).map_or(Ok(false), |text| truth(name, text));
    Ok(List {
        filter: filter(parameters, now)?,
        after: parameters.text("cursor").map(cursor).transpose()?,
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        count: truth("count")?,
        histogram: truth("histogram")?,
        now_ms: epoch_ms(now),
    })
}

/// Any `tag.NAME` is known, all others by their names.
fn only_known(parameters: &Query) -> ApiResult<()> {
    only(parameters, &ALLOWED)
}

/// Only what says which events are wanted is known, and what is named here.
///
/// # Errors
/// 400 naming the parameter and the allowed ones.
pub(in crate::api) fn only_filters_and(parameters: &Query, beside: &[&str]) -> ApiResult<()> {
    let is_filter = |name: &&str| !matches!(*name, "limit" | "cursor" | "count" | "histogram");
    let allowed: Vec<&str> = ALLOWED
        .into_iter()
        .filter(is_filter)
        .chain(beside.iter().copied())
        .collect();
    only(parameters, &allowed)
}

fn only(parameters: &Query, named: &[&str]) -> ApiResult<()> {
    let tags = parameters
        .pairs
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| tag_name(name).is_some());
    let allowed: Vec<&str> = named
        .iter()
        .copied()
        .chain(Field::ALL.map(Field::name))
        .chain(tags)
        .collect();
    parameters.only(&allowed)
}

fn tag_name(parameter: &str) -> Option<&str> {
    parameter.strip_prefix("tag.").filter(|name| !name.is_empty())
}

/// The events that the parameters ask for.
///
/// # Errors
/// 400 naming the parameter.
pub(in crate::api) fn filter(parameters: &Query, now: Timestamp) -> ApiResult<Filter> {
    let time = |name: &'static str| parameters.text(name).map(|text| instant(name, text, now)).transpose();
    let (since, until) = (time("since")?, time("until")?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Problem::invalid("until", "must be later than since"));
    }
    let mut filter = Filter {
        types: words(
            parameters,
            "type",
            ErrorType::from_name,
            &ErrorType::ALL.map(ErrorType::name),
        )?,
        severities: words(
            parameters,
            "severity",
            Severity::from_name,
            &Severity::ALL.map(Severity::name),
        )?,
        statuses: words(
            parameters,
            "status",
            GroupStatus::from_name,
            &GroupStatus::ALL.map(GroupStatus::name),
        )?,
        since_ms: since.map(epoch_ms),
        until_ms: until.map(epoch_ms),
        groups: parameters.text("group").map(group).transpose()?.into_iter().collect(),
        tags: tags(parameters)?,
        ..Filter::default()
    };
    let value = |field: Field| {
        let sought = field.sought(parameters.text(field.name())?);
        Some(sought.map_or_else(|why| Err(Problem::invalid(field.name(), why)), |text| Ok((field, text))))
    };
    filter.values = Field::ALL.into_iter().filter_map(value).collect::<ApiResult<_>>()?;
    if let Some(text) = parameters.text("q") {
        if text.len() > MOST_SEARCH_BYTES {
            return Err(Problem::invalid(
                "q",
                format!("must be at most {MOST_SEARCH_BYTES} bytes"),
            ));
        }
        search::compile(text, &mut filter).map_err(|why| Problem::invalid("q", why))?;
    }
    Ok(filter)
}

fn group(text: &str) -> ApiResult<i64> {
    group_number(text).ok_or_else(|| Problem::invalid("group", "must be a group's id such as E-17"))
}

/// `tag.NAME=value` for each, or one as `tag=NAME:value`.
fn tags(parameters: &Query) -> ApiResult<Vec<(String, String)>> {
    let named = |(name, value): &(String, String)| Some((tag_name(name)?.to_owned(), value.clone()));
    let mut tags: Vec<_> = parameters.pairs.iter().filter_map(named).collect();
    if let Some(text) = parameters.text("tag") {
        let Some((name, value)) = text.split_once(':').filter(|(name, _)| !name.is_empty()) else {
            return Err(Problem::invalid("tag", "must be NAME:value; or give tag.NAME=value"));
        };
        tags.push((name.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

pub(in crate::api) fn words<T>(
    parameters: &Query,
    name: &'static str,
    find: impl Fn(&str) -> Option<T>,
    allowed: &[&str],
) -> ApiResult<Vec<T>> {
    let Some(text) = parameters.text(name) else {
        return Ok(Vec::new());
    };
    let found: Option<Vec<T>> = text.split(',').map(|word| find(word.trim())).collect();
    found.ok_or_else(|| {
        Problem::invalid(
            name,
            format!("must be one or more of {}, separated by commas", allowed.join(", ")),
        )
    })
}

/// RFC 3339, or a time before `now`: `90s`, `15m`, `24h`, `7d`.
pub(in crate::api) fn instant(name: &'static str, text: &str, now: Timestamp) -> ApiResult<Timestamp> {
    // An unescaped `+` of an offset arrives as a blank.
    text.replace(' ', "+")
        .parse::<Timestamp>()
        .ok()
        .or_else(|| ago(text).and_then(|span| now.checked_sub(span).ok()))
        .ok_or_else(|| {
            Problem::invalid(
                name,
                "must be an RFC 3339 time (2025-01-31T08:30:00Z) or a span such as 90s, 15m, 24h or 7d",
            )
        })
}

pub(in crate::api) fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text
        .strip_suffix(unit)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some(SignedDuration::from_secs(
        digits.parse::<i64>().ok()?.checked_mul(seconds)?,
    ))
}

fn cursor(text: &str) -> ApiResult<Position> {
    Position::parse(text).ok_or_else(|| Problem::invalid("cursor", "must be the nextCursor of an earlier answer"))
}

pub(in crate::api) fn truth(name: &'static str, text: &str) -> ApiResult<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Problem::invalid(name, "must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query {
            pairs: pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn times_are_rfc3339_or_spans_before_now() {
        let now = from_epoch_ms(1_750_000_000_000);
        let of = |text: &str| instant("since", text, now).map(epoch_ms).ok();
        assert_eq!(of("15m"), Some(1_750_000_000_000 - 900_000));
        assert_eq!(of("24h"), Some(1_750_000_000_000 - 86_400_000));
        assert_eq!(of("7d"), Some(1_750_000_000_000 - 7 * 86_400_000));
        assert_eq!(of("2025-06-15T00:00:00+02:00"), Some(1_749_938_400_000));
        for wrong in [
            "",
            "m",
            "-5m",
            "5",
            "5y",
            "1.5h",
            "99999999999999999999d",
            "9999999999999d",
            "now",
            "é",
        ] {
            let problem = instant("since", wrong, now).unwrap_err();
            assert_eq!(problem.errors[0].pointer, "since", "{wrong}");
        }
    }

    #[test]
    fn words_are_lists_of_known_ones() {
        let of = |text: &str| {
            words(
                &query(&[("severity", text)]),
                "severity",
                Severity::from_name,
                &["low", "high"],
            )
        };
        assert_eq!(of("high,low").unwrap(), [Severity::High, Severity::Low]);
        assert!(
            of("high,fatal")
                .unwrap_err()
                .detail
                .contains("must be one or more of low, high")
        );
        assert!(of("").is_err());
    }

    #[test]
    fn an_address_is_looked_for_as_events_keep_it() {
        let now = from_epoch_ms(1_750_000_000_000);
        let of = |pairs: &[(&str, &str)]| filter(&query(pairs), now).map(|filter| filter.values);
        let found = vec![(Field::Ip, "2001:db8::1".to_owned())];
        assert_eq!(of(&[("ip", "2001:DB8:0:0::1")]).unwrap(), found);
        assert_eq!(of(&[("q", "ip:2001:DB8::0001")]).unwrap(), found);
        for (wrong, pointer) in [(("ip", "10.0.0.0/8"), "ip"), (("q", "ip:here"), "q")] {
            let problem = of(&[wrong]).unwrap_err();
            assert!(problem.errors[0].pointer == pointer && problem.detail.contains("must be an IPv4 or IPv6 address"));
        }
    }

    #[test]
    fn cursors_and_truths_are_checked() {
        let position = Position(5 << 20 | 6);
        assert_eq!(cursor(&position.to_string()).unwrap(), position);
        assert_eq!(cursor("0").unwrap_err().errors[0].pointer, "cursor");
        assert!(truth("count", "true").unwrap() && truth("count", "yes").is_err());
    }
}
