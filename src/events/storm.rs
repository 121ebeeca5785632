//! What keeps a flood of events bounded (floor 2): limits by source, and groups in a storm that are thinned to samples.
//!
//! ```text
//! ingest ─▶ limits (by source, before the disk) ─▶ pipeline ─▶ store ─▶ groups, window (whole, sample or counted?)
//!                                                                 └──▶ thinning (rows of samples, ids) ─▶ status
//! ```
//!
//! What must stay true: whatever is refused is counted by source, whatever is thinned is counted on a sample in the same
//! transaction, so that every count of events is one of occurrences; memory is bounded however many sources and groups
//! there are; nothing here waits, and no lock is held across a wait. The spool's replay passes no limit by source again.

mod groups;
mod limits;
mod status;
mod thinning;
mod window;

pub(super) use groups::{Groups, Verdict};
pub(super) use limits::{Gcra, Limits};
pub use limits::{Refusal, Reporter};
pub(super) use status::Status;
pub use status::{Storm, Turn};
pub(super) use thinning::Thinning;
