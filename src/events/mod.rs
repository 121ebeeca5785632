//! The error log (floor 2): what an event is, how it gets to the disk, how it is found again, how it leaves.
//!
//! ```text
//! Capture ──channel──▶ worker ─┐                ┌─▶ events.db ─▶ query, summary
//! POST … ─▶ parse ─▶ EventLog ─┴─▶ pipeline ────┤      ▲   └──▶ tail
//!             (limits by source)                └─▶ spool ─replay─┘
//! a file ─▶ parse ─▶ import ─▶ events.db
//! ```
//!
//! What must stay true: accepted = stored + spooled + dropped + in flight ([`LedgerSnapshot`]); an acknowledged event is on
//! disk; nothing in here reports its own failures as events. Floors above may use what is re-exported here, and `parse`,
//! `query`, `life`, `group`, `remove`, `retention` and `tail` for their functions.

mod capture;
pub mod classify;
mod clients;
mod context;
pub mod group;
mod import;
mod index;
mod ledger;
pub mod life;
mod log;
mod model;
mod occurrence;
mod order;
pub mod parse;
mod pipeline;
pub mod query;
pub mod remove;

mod replay;
pub mod retention;
mod schema;
pub mod sentry;
mod sink;
mod spool;
mod store;
mod storm;
mod summary;
pub mod tail;
mod wire;
mod worker;

pub use capture::{Capture, Captures, channel};
pub use clients::{ClientCounts, Clients};
pub use context::{Breadcrumb, RequestInfo, SourceLines, User, culprit};
pub use import::Importer;
pub use index::words::Field;
pub use ledger::{DropReason, Dropped, LedgerSnapshot};
pub use log::EventLog;
pub use model::{ErrorEvent, ErrorType, Exception, Extras, Frame, Severity, UserId};
pub use occurrence::{EventContext, NewEvent};
pub use pipeline::IngestOutcome;
pub use schema::MIGRATIONS;
pub use spool::{Spool, SpoolStatus};
pub use storm::{Refusal, Reporter, Storm, Turn};
pub use summary::{ErrorSummary, TopGroup, summary};
pub use wire::{LoggedEvent, group_name, group_number};
