//! Counts of types, severities and time alone (floor 2): whole hours as they are kept, the rest of the first and of the last
//! hour from the index.
//!
//! What must stay true: of an hour no more than half is counted event by event. Called by the tally only.

use rusqlite::{Connection, params};

use crate::events::model::{ErrorType, Severity};
use crate::events::order::first_place;
use crate::events::query::Filter;
use crate::events::store::HOUR_MS;

/// How many events match, by hour: tells each hour's count with its beginning, those of the first and the last hour with
/// the beginning of what is wanted of them.
///
/// # Errors
/// Those of SQLite.
pub(super) fn by_hours(
    connection: &Connection,
    filter: &Filter,
    mut each: impl FnMut(i64, u64),
) -> rusqlite::Result<u64> {
    let mut total = 0;
    let mut tell = |ms, count| {
        total += count;
        each(ms, count);
    };
    let (since, until) = (filter.since_ms, filter.until_ms);
    let first = since.map_or(i64::MIN, |ms| {
        ms.div_euclid(HOUR_MS) + i64::from(ms.rem_euclid(HOUR_MS) != 0)
    });
    let last = until.map_or(i64::MAX, |ms| ms.div_euclid(HOUR_MS));
    let counts = Counts { connection, filter };
    if first >= last {
        tell(since.unwrap_or(0), counts.span(since, until)?);
        return Ok(total);
    }
    counts.whole_hours(first, last, &mut tell)?;
    if let Some(since) = since.filter(|since| *since < first * HOUR_MS) {
        tell(since, counts.part(first - 1, since, first * HOUR_MS)?);
    }
    if let Some(until) = until.filter(|until| last * HOUR_MS < *until) {
        tell(last * HOUR_MS, counts.part(last, last * HOUR_MS, until)?);
    }
    Ok(total)
}

/// Counts the types and severities of a filter.
struct Counts<'c> {
    connection: &'c Connection,
    filter: &'c Filter,
}

impl Counts<'_> {
    /// The hours from the first to before the last, told with their beginnings.
    fn whole_hours(&self, first: i64, last: i64, tell: &mut impl FnMut(i64, u64)) -> rusqlite::Result<()> {
        let (types, severities) = bits_of_kinds(self.filter);
        let mut hours = self.connection.prepare_cached(
            "SELECT hour, sum(count) FROM event_hours
             WHERE hour >= ?1 AND hour < ?2 AND (?3 >> type) & 1 AND (?4 >> severity) & 1 GROUP BY hour",
        )?;
        let mut found = hours.query(params![first, last, types, severities])?;
        while let Some(row) = found.next()? {
            let count: i64 = row.get(1)?;
            tell(row.get::<_, i64>(0)? * HOUR_MS, u64::try_from(count).unwrap_or(0));
        }
        Ok(())
    }

    /// A part of an hour that reaches to one of its ends: where it is the larger one, what the rest leaves of the hour.
    fn part(&self, hour: i64, since_ms: i64, until_ms: i64) -> rusqlite::Result<u64> {
        if until_ms - since_ms <= HOUR_MS / 2 {
            return self.span(Some(since_ms), Some(until_ms));
        }
        let mut whole = 0;
        self.whole_hours(hour, hour + 1, &mut |_, count| whole += count)?;
        let (begins, ends) = (hour * HOUR_MS, (hour + 1) * HOUR_MS);
        let rest = self.span(Some(begins), Some(since_ms))? + self.span(Some(until_ms), Some(ends))?;
        Ok(whole.saturating_sub(rest))
    }

    /// The events of a span, counted in the index of types and severities, which takes fewer pages than the rows.
    fn span(&self, since_ms: Option<i64>, until_ms: Option<i64>) -> rusqlite::Result<u64> {
        let (first, before) = (
            since_ms.map_or(i64::MIN, first_place),
            until_ms.map_or(i64::MAX, first_place),
        );
        if first >= before {
            return Ok(0);
        }
        let mut all = self.connection.prepare_cached(&self.span_sql())?;
        let count: i64 = all.query_row([first, before], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The numbers of types and severities are constants in it, so that the index is used for each pair.
    pub(super) fn span_sql(&self) -> String {
        let (types, severities) = bits_of_kinds(self.filter);
        let kinds = format!("type IN ({}) AND severity IN ({})", numbers(types), numbers(severities));
        format!(
            "SELECT (SELECT count(*) FROM events INDEXED BY events_by_kind WHERE {kinds} AND at >= ?1 AND at < ?2)
             + (SELECT coalesce(sum(occurrences - 1), 0) FROM events INDEXED BY events_thinned
                WHERE occurrences > 1 AND at >= ?1 AND at < ?2 AND {kinds})"
        )
    }
}

/// The wanted types and severities as sets of bits: one statement whatever is wanted.
pub(super) fn bits_of_kinds(filter: &Filter) -> (i64, i64) {
    let types = filter.types.iter().map(|kind| kind.number());
    let severities = filter.severities.iter().map(|severity| severity.number());
    (bits(types, ErrorType::ALL.len()), bits(severities, Severity::ALL.len()))
}

fn bits(numbers: impl Iterator<Item = u8>, all: usize) -> i64 {
    match numbers.fold(0, |bits, number| bits | 1 << number) {
        0 => (1 << all) - 1,
        bits => bits,
    }
}

/// The numbers of the bits that are set, as a list in SQL.
fn numbers(bits: i64) -> String {
    let set = (0..i64::BITS - 1).filter(|number| bits >> number & 1 == 1);
    set.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema;

    #[test]
    fn a_span_is_counted_in_the_index_of_its_kinds_alone() {
        let connection = schema::connection();
        for filter in [
            Filter::default(),
            Filter {
                types: vec![ErrorType::Api, ErrorType::Socket],
                severities: vec![Severity::Critical],
                ..Filter::default()
            },
        ] {
            let counts = Counts {
                connection: &connection,
                filter: &filter,
            };
            let plan: Vec<String> = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {}", counts.span_sql()))
                .unwrap()
                .query_map([0, 1], |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let index =
                "SEARCH events USING COVERING INDEX events_by_kind (type=? AND severity=? AND rowid>? AND rowid<?)";
            assert!(plan.iter().any(|line| line == index), "{plan:?}");
        }
    }
}
