//! The resilient SQLite layer (floor 1): [`Database::read`], [`Database::write`], [`Database::status`].
//!
//! ```text
//! read:  deadline → limiter (FIFO) → breaker permit → pooled connection → query → classify → settle
//! write: breaker permit → bounded queue → writer thread: BEGIN IMMEDIATE, a savepoint a job, one COMMIT → answer
//! ```
//! What must stay true: an answered write is on disk; every call ends by its deadline; codes decide, never texts;
//! what a breaker, a retry or a pool does is visible through [`Observer`] and [`Database::status`].
//! Usable from any tokio program with its own migrations and no HTTP; it imports nothing above floor 0.

mod active;
mod adaptive;
mod backoff;
pub mod breaker;
mod checkpoint;
pub mod classify;
mod connection;
mod database;
mod deadline;
pub mod disk;
mod error;
mod evidence;
mod handle;
mod health;
mod holders;
mod idempotency;
mod identity;
mod internal;
mod limiter;
mod log;
mod migrations;
mod observe;
mod open_error;
mod operation;
mod panic_text;
mod pool;
mod readers;
mod reserve;
mod retry;
mod room;
mod sequence;
pub mod statements;
mod status;
mod verdict;
mod verify;
mod wal;
mod writer;

pub use active::{ActiveOperation, OperationId};
pub use breaker::BreakerStatus;
pub use checkpoint::{Checkpoint, CheckpointReport};
pub use database::{COMMIT_GRACE, Database, Options, PoolChange};
pub use error::{DbError, ErrorKind};
pub use health::{DamageReport, ProbeReport};
pub use holders::{Lock, LockHolder};
pub use idempotency::{Answered, KEPT_FOR, Once};
pub use migrations::{Migration, inspect};
pub use observe::{BreakerChange, Observer, SlowStatement, Unobserved};
pub use open_error::OpenError;
pub use operation::{Cost, Effect, Operation, Origin, Repeat, Safe};
pub use reserve::{RESERVE_BYTES, ReserveStatus};
pub use rusqlite;
pub use sequence::{MissingCommits, sequence_path};
pub use status::{DatabaseStatus, PoolStatus, RetryStatus, WriterStatus};
pub use wal::WalStatus;
