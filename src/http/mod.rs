//! The skin (floor 5): request ids, access log, auth guards, database guards, limits, problem responses.
//!
//! What must stay true: whatever answers, the answer is JSON of a documented form with the request id on it; a
//! handler gets a database and authority from guards only. `api` is built on it; `app` attaches it.

mod auth;
pub mod body;
pub mod catchers;
mod code;
mod connection;
mod databases;
pub mod encoding;
mod members;
mod methods;
pub mod panics;
mod problem;
mod query;
mod silence;
mod skin;
mod sources;
mod trace;

/// The guards, as handlers import them.
pub mod guards {
    pub use super::auth::{
        Actor, Admin, DataRead, DataWrite, Ingest, MayMonitor, MonitorRead, MonitorWrite, Needs, Standing,
    };
    pub use super::databases::{AppRead, AppWrite, EventsRead, EventsWrite};
    pub use super::query::NoParameters;
    pub use super::trace::RequestContext;
}

pub use auth::{Door, SESSION_COOKIE, refuse_foreign_page};
pub use code::Code;
pub use connection::Connection;
pub use databases::Databases;
pub use members::{LONGEST_REASON, Members};
pub use methods::note_file;
pub use problem::{ApiResult, FieldError, Problem};
pub use query::Query;
pub use silence::{Connections, let_go_of_silent};
pub use skin::{Skin, methods_table};
pub use sources::SourceDoor;
pub use trace::refuse;
