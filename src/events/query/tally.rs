//! How many events match (floor 2): in all, and by time.
//!
//! What must stay true: an event counts as often as it occurred, however few rows a storm left of it. Where the filter asks
//! for what a sample needn't share with those that are counted on it, a row counts once, and the count says that there may be
//! more. Whole hours come from their counts where the filter is of types, severities and time alone; any other count walks
//! at most a bounded number of places, newest first, and says when there are more.

use rusqlite::{Connection, OptionalExtension};

use super::filter::Filter;
use super::find::Finder;
use super::meant::Meant;
use super::rows::Rows;
use crate::events::order::ms_of;
use crate::events::store::HOUR_MS;

mod hours;
mod thinned;
use hours::{bits_of_kinds, by_hours};
use thinned::{Thinned, may_hide};

/// Most places that a count walks.
const MOST_COUNTED: usize = 100_000;
/// The same where each row has to be looked at.
const MOST_COMPARED: usize = 20_000;
/// Most buckets of a histogram.
const MOST_BUCKETS: i64 = 120;
/// The span that a histogram without a beginning shows where there is no event.
const WITHOUT_EVENTS_MS: i64 = 24 * HOUR_MS;

/// Widths of buckets in milliseconds, with their names: each at most five times the one before, so that a span of 24 s
/// and more has 24 buckets at least.
const INTERVALS: [(i64, &str); 14] = [
    (1_000, "1s"),
    (5_000, "5s"),
    (15_000, "15s"),
    (60_000, "1m"),
    (300_000, "5m"),
    (900_000, "15m"),
    (HOUR_MS, "1h"),
    (3 * HOUR_MS, "3h"),
    (12 * HOUR_MS, "12h"),
    (24 * HOUR_MS, "1d"),
    (5 * 24 * HOUR_MS, "5d"),
    (15 * 24 * HOUR_MS, "15d"),
    (60 * 24 * HOUR_MS, "60d"),
    (300 * 24 * HOUR_MS, "300d"),
];

/// What matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How often the events occurred.
    pub total: u64,
    /// Whether there may be more: the count stopped at its limit, or a storm left only samples of what may match.
    pub is_at_least: bool,
    /// The same by time, when it was asked for.
    pub histogram: Option<Histogram>,
}

/// Counts by time. Buckets lie at multiples of the interval since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// `15m`.
    pub interval: &'static str,
    /// The same in milliseconds.
    pub interval_ms: i64,
    /// When the first bucket begins, milliseconds since the epoch.
    pub start_ms: i64,
    /// Oldest first.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty one over a span; of one that is too long for the widest interval, the newest part.
    fn over(since_ms: i64, until_ms: i64) -> Self {
        let last = until_ms.max(since_ms + 1) - 1;
        let buckets = |width: i64| last.div_euclid(width) - since_ms.div_euclid(width) + 1;
        let fitting = INTERVALS.iter().find(|(width, _)| buckets(*width) <= MOST_BUCKETS);
        let &(interval_ms, interval) = fitting.unwrap_or(&INTERVALS[INTERVALS.len() - 1]);
        let count = buckets(interval_ms).min(MOST_BUCKETS);
        Self {
            interval,
            interval_ms,
            start_ms: (last.div_euclid(interval_ms) + 1 - count) * interval_ms,
            counts: vec![0; usize::try_from(count).unwrap_or(0)],
        }
    }

    fn add(&mut self, ms: i64, count: u64) {
        let bucket = usize::try_from((ms - self.start_ms).div_euclid(self.interval_ms));
        if let Some(of_bucket) = bucket.ok().and_then(|bucket| self.counts.get_mut(bucket)) {
            *of_bucket += count;
        }
    }
}

/// Counts what matches; by time, too, if wanted, with `now_ms` as the end where the filter has none.
///
/// # Errors
/// Those of SQLite.
pub fn tally(connection: &Connection, meant: &Meant<'_>, now_ms: i64, by_time: bool) -> rusqlite::Result<Tally> {
    let filter = meant.filter();
    let mut histogram = by_time.then(|| span(connection, filter, now_ms)).transpose()?;
    let (mut total, mut is_at_least) = (0, false);
    let is_of_kinds = !filter.needs_index() && meant.has_every_group() && filter.statuses.is_empty();
    match &mut histogram {
        None if is_of_kinds => total = count(connection, filter)?,
        Some(histogram) if is_of_kinds && histogram.interval_ms >= HOUR_MS => {
            total = by_hours(connection, filter, |ms, count| histogram.add(ms, count))?;
        }
        _ => {
            is_at_least = !walk(connection, meant, now_ms, |ms, count| {
                total += count;
                if let Some(histogram) = &mut histogram {
                    histogram.add(ms, count);
                }
            })?;
        }
    }
    Ok(Tally {
        total,
        is_at_least,
        histogram,
    })
}

/// How many events match a filter of types, severities and time alone.
///
/// # Errors
/// Those of SQLite.
pub fn count(connection: &Connection, filter: &Filter) -> rusqlite::Result<u64> {
    if filter.since_ms.is_some() || filter.until_ms.is_some() {
        return by_hours(connection, filter, |_, _| ());
    }
    let (types, severities) = bits_of_kinds(filter);
    let mut totals = connection.prepare_cached(
        "SELECT coalesce(sum(count), 0) FROM event_totals WHERE (?1 >> type) & 1 AND (?2 >> severity) & 1",
    )?;
    let total: i64 = totals.query_row([types, severities], |row| row.get(0))?;
    Ok(total.unsigned_abs())
}

/// The filter's span; without ends, that of all events, and up to now.
fn span(connection: &Connection, filter: &Filter, now_ms: i64) -> rusqlite::Result<Histogram> {
    let edge = |sql: &str| -> rusqlite::Result<Option<i64>> {
        let place = connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(place.map(ms_of))
    };
    let until = match filter.until_ms {
        Some(until) => until,
        // Events may be dated a little ahead of the clock.
        None => edge("SELECT at FROM events ORDER BY at DESC LIMIT 1")?.map_or(now_ms, |newest| now_ms.max(newest + 1)),
    };
    let since = match filter.since_ms {
        Some(since) => since,
        None => edge("SELECT at FROM events ORDER BY at LIMIT 1")?.unwrap_or(until - WITHOUT_EVENTS_MS),
    };
    Ok(Histogram::over(
        since.min(until - 1),
        until.max(since.saturating_add(1)),
    ))
}

/// Tells each matching event's millisecond and occurrences; whether those were all.
fn walk(
    connection: &Connection,
    meant: &Meant<'_>,
    now_ms: i64,
    mut each: impl FnMut(i64, u64),
) -> rusqlite::Result<bool> {
    let finder = Finder::new(connection, meant)?;
    let (first, before) = meant.filter().span(None);
    let compares = finder.must_compare();
    let most = if compares { MOST_COMPARED } else { MOST_COUNTED };
    let mut rows = Rows::new(connection, meant, now_ms)?;
    let (sql, values) = finder.sql(first, before, most + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut places = statement.query(rusqlite::params_from_iter(values))?;
    let mut thinned = Thinned::statement(connection)?;
    let mut thinned = Thinned::of(thinned.query([first, before])?)?;
    let in_samples = meant.filter().holds_for_samples();
    let mut walked = 0;
    while let Some(row) = places.next()? {
        walked += 1;
        if walked > most {
            return Ok(false);
        }
        let place = row.get(0)?;
        if !compares || rows.counts(place)? {
            let occurrences = if in_samples { thinned.occurrences(place)? } else { 1 };
            each(ms_of(place), occurrences);
        }
    }
    Ok(in_samples || !may_hide(connection, meant, &mut rows)?)
}

#[cfg(test)]
mod tests;
