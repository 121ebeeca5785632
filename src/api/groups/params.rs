//! The parameters of the group list and of a group's history (floor 6, pure).

use jiff::Timestamp;

use crate::api::errors::params::{DEFAULT_LIMIT, MAX_LIMIT, filter, truth};
use crate::clock::epoch_ms;
use crate::events::Field;
use crate::events::life::{After, List, Sort};
use crate::http::{ApiResult, Problem, Query};

/// What chooses groups.
const CHOOSING: [&str; 8] = ["status", "type", "severity", "source", "release", "q", "since", "until"];
/// What else the list understands.
const SHAPING: [&str; 4] = ["sort", "limit", "cursor", "count"];

/// The list that the parameters ask for; relative times count from `now`.
///
/// # Errors
/// 400 naming the parameter.
pub(super) fn list(parameters: &Query, now: Timestamp) -> ApiResult<List> {
    let allowed: Vec<&str> = CHOOSING.into_iter().chain(SHAPING).collect();
    parameters.only(&allowed)?;
    let sort = match parameters.text("sort") {
        None => Sort::NEWEST,
        Some(name) => Sort::from_name(name).ok_or_else(|| {
            let allowed = format!(
                "must be one of {}; a - before it begins with the largest",
                Sort::names()
            );
            Problem::invalid("sort", allowed)
        })?,
    };
    let after = parameters.text("cursor").map(|text| {
        After::parse(text, sort).ok_or_else(|| {
            Problem::invalid(
                "cursor",
                "must be the nextCursor of an earlier answer with the same sort",
            )
        })
    });
    let limit = parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    Ok(List {
        sort,
        after: after.transpose()?,
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        count: parameters
            .text("count")
            .map_or(Ok(false), |text| truth("count", text))?,
        ..choice(parameters, now)?
    })
}

/// Which groups an act in bulk is for.
///
/// # Errors
/// 400 naming the parameter.
pub(super) fn filter_of(parameters: &Query, now: Timestamp) -> ApiResult<List> {
    parameters.only(&CHOOSING)?;
    choice(parameters, now)
}

fn choice(parameters: &Query, now: Timestamp) -> ApiResult<List> {
    let filter = filter(parameters, now)?;
    let unknown = filter
        .values
        .iter()
        .find(|(field, _)| !matches!(field, Field::Source | Field::Release));
    if unknown.is_some() || !filter.tags.is_empty() {
        let allowed = "can ask groups for is, type, severity, group, source, release and words of their titles";
        return Err(Problem::invalid("q", allowed));
    }
    Ok(List {
        filter,
        sort: Sort::NEWEST,
        after: None,
        limit: u32::try_from(DEFAULT_LIMIT).unwrap_or(u32::MAX),
        count: false,
        now_ms: epoch_ms(now),
    })
}

/// The page of a group's history: what it comes before, and how many entries it has.
///
/// # Errors
/// 400 naming the parameter.
pub(super) fn history(parameters: &Query) -> ApiResult<(Option<i64>, u32)> {
    parameters.only(&["limit", "cursor"])?;
    let limit = parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let before = parameters.text("cursor").map(|text| {
        let number = text.parse().ok().filter(|number| *number > 0_i64);
        number.ok_or_else(|| Problem::invalid("cursor", "must be the nextCursor of an earlier answer"))
    });
    Ok((before.transpose()?, u32::try_from(limit).unwrap_or(u32::MAX)))
}
