//! The rows of what bounds the event log (floor 0). 0 is "no bound" in each of them, said by hand and never by default.

use super::{Key, number};

/// Ten years: an age beyond that is no bound.
const MOST_DAYS: u64 = 3650;
/// 16 TiB.
const MOST_MIB: u64 = 16 << 20;

pub(super) const MAX_DAYS: Key = number(
    "MAINSTAY_EVENTS_MAX_DAYS",
    "90",
    "days",
    (0, MOST_DAYS),
    "error events older than this leave, whatever they are worth; 0: no bound",
    |s, n| s.retention.max_days = n,
);

pub(super) const MAX_COUNT: Key = number(
    "MAINSTAY_EVENTS_MAX_COUNT",
    "10000000",
    "events",
    (0, 1_000_000_000),
    "most error events, those of least value leave first; 0: no bound",
    |s, n| s.retention.max_count = n,
);

pub(super) const MAX_MIB: Key = number(
    "MAINSTAY_EVENTS_MAX_MIB",
    "4096",
    "MiB",
    (0, MOST_MIB),
    "most that events.db may hold, those of least value leave first; 0: no bound",
    |s, n| s.retention.max_bytes = n << 20,
);

pub(super) const MAX_DISK_PERCENT: Key = number(
    "MAINSTAY_EVENTS_MAX_DISK_PERCENT",
    "20",
    "percent",
    (0, 95),
    "the same as a share of the file system; the smaller counts; 0: no bound",
    |s, n| s.retention.max_disk_percent = n,
);
