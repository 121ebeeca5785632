//! The rows of what bounds the live tail of events (floor 0).

use super::{Key, number, seconds, small};

pub(super) const READERS: Key = number(
    "MAINSTAY_TAIL_READERS",
    "32",
    "readers",
    (1, 1000),
    "most readers of the live tail at once; more are refused with 429",
    |s, n| s.tail.readers = small(n),
);

pub(super) const PATIENCE: Key = number(
    "MAINSTAY_TAIL_PATIENCE",
    "30",
    "seconds",
    (1, 3600),
    "a reader of the live tail that takes nothing for so long is let go",
    |s, n| s.tail.patience = seconds(n),
);
