//! The resilient SQLite layer (floor 1): [`Database::read`], [`Database::write`], [`Database::status`].
//!
//! ```text
//! read:  deadline → limiter (FIFO) → breaker permit → pooled connection → query → classify → settle
//! write: breaker permit → bounded queue → writer thread: BEGIN IMMEDIATE, a savepoint a job, one COMMIT → answer
//! ```
//! What must stay true: an answered write is on disk; every call ends by its deadline; codes decide, never texts;
//! what a breaker, a retry or a pool does is visible through [`Observer`] and [`Database::status`].
//! Usable from any tokio program with its own migrations and no HTTP; it imports nothing above floor 0.

mod backoff;
pub mod breaker;
pub mod classify;
mod connection;
mod database;
mod deadline;
mod error;
mod health;
mod identity;
mod limiter;
mod log;
mod migrations;
mod observe;
mod open_error;
mod operation;
mod pool;
mod readers;
mod retry;
#[cfg(test)]
mod simulation;
mod slow;
mod status;
mod verdict;
mod wait;
mod writer;

pub use breaker::BreakerStatus;
pub use database::{COMMIT_GRACE, Database, Options};
pub use error::{DbError, ErrorKind};
pub use health::ProbeReport;
pub use migrations::{Migration, inspect};
pub use observe::{BreakerChange, Observer, Unobserved};
pub use open_error::OpenError;
pub use operation::{Cost, Effect, Operation, Origin, Safe};
pub use rusqlite;
pub use status::{DatabaseStatus, PoolStatus, RetryStatus, WriterStatus};
