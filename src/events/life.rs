//! What a group is over time (floor 2): unresolved, resolved, muted, and back again.
//!
//! ```text
//! insert ─▶ tallies (hours, users, releases) ─▶ state (pure: does it come back?) ─▶ rows, history
//! a hand ─▶ acts ────────────────────────────────────────────────────────────────▶ rows, history
//! list, view, history: how it is shown
//! ```
//!
//! What must stay true: what an event changes is decided inside the transaction that stores it, from its data alone, one event
//! after the other, so that batches may be cut anywhere; a duplicate changes nothing; a swallowed group's row has the status
//! of the one that swallowed it; hours, users and releases are those of the group that an event's row names. Floors above
//! may call what is re-exported here.

mod acts;
mod counted;
mod history;
mod list;
mod release;
mod rows;
mod state;
mod tallies;
mod together;
mod unions;
mod view;

pub use acts::{Act, Acted, By, InRelease, MOST_AT_ONCE, Undone, act, act_on_all, act_on_matching};
pub(super) use counted::{counted, is_whole};
pub use history::{Entries, Entry, entries};
pub use list::{After, List, Page, Sort, list};
pub use state::{MOST_WINDOWED, Status};
pub(super) use tallies::Tallies;
pub use together::{Change, change};
pub(super) use unions::{Kept, keep, kept, moved, parted, shared, swallowed, users_counted};
pub use view::{Details, GroupView, details, family};

/// Most distinct users that are counted for a group; from there on it is "at least" so many.
pub const MOST_USERS: i64 = 1000;
/// Most releases that are kept for a group: those that were seen last.
pub const MOST_RELEASES: i64 = 100;
/// Hours that are kept for a group, back from its newest: 90 days.
pub const HOURS_KEPT: i64 = 90 * 24;

#[cfg(test)]
mod tests;
