//! The rows of what bounds a flood of events, and what waits when events.db is in trouble (floor 0).

use super::{Key, number, small};

/// Far above what any machine takes: as good as no limit.
const MOST_A_MINUTE: u64 = 1_000_000_000;

pub(super) const PER_SOURCE: Key = number(
    "MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE",
    "60000",
    "events",
    (1, MOST_A_MINUTE),
    "most events of one source a minute; more are refused with 429",
    |s, n| s.ingest.per_source = small(n),
);

pub(super) const PER_GROUP: Key = number(
    "MAINSTAY_INGEST_PER_GROUP_PER_MINUTE",
    "1000",
    "events",
    (1, MOST_A_MINUTE),
    "events of one group a minute that are stored whole; more are counted",
    |s, n| s.ingest.per_group = small(n),
);

pub(super) const SPOOL_MAX: Key = number(
    "MAINSTAY_SPOOL_MAX_MIB",
    "256",
    "MiB",
    (1, 1 << 20),
    "most that the spool of events may hold while events.db can't take them",
    |s, n| s.storage.spool_max_bytes = n << 20,
);
