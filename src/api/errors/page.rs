//! A page of the error list on the wire (floor 6): events, cursor, counts, and what isn't in it yet.

use serde::Serialize;

use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::{LoggedEvent, query};

/// One page of the list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct ListAnswer {
    errors: Vec<LoggedEvent>,
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// The count stopped at its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_at_least: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<HistogramAnswer>,
    /// Acknowledged events that wait in the spool, or for the text index, and so can't be in the list yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<u64>,
}

/// Counts by time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistogramAnswer {
    interval: &'static str,
    interval_seconds: i64,
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    start: String,
    count: u64,
}

impl From<query::Histogram> for HistogramAnswer {
    fn from(histogram: query::Histogram) -> Self {
        let starts = (0..).map(|number| histogram.start_ms + number * histogram.interval_ms);
        let bucket = |(start, count)| Bucket {
            start: rfc3339_ms(from_epoch_ms(start)),
            count,
        };
        Self {
            interval: histogram.interval,
            interval_seconds: histogram.interval_ms / 1000,
            buckets: starts.zip(histogram.counts).map(bucket).collect(),
        }
    }
}

impl ListAnswer {
    /// The page, with how many acknowledged events can't be in it yet.
    pub(super) fn of(page: query::Page, waiting: u64) -> Self {
        let tally = page.tally;
        Self {
            pending: (waiting > 0).then_some(waiting),
            errors: page.events,
            next_cursor: page.next.map(|next| next.to_string()),
            total: tally.as_ref().map(|tally| tally.total),
            total_is_at_least: tally.as_ref().and_then(|tally| tally.is_at_least.then_some(true)),
            histogram: tally.and_then(|tally| tally.histogram).map(HistogramAnswer::from),
        }
    }
}
