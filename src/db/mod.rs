//! The resilient SQLite layer (floor 1): [`Database::read`], [`Database::write`], [`Database::status`].
//!
//! ```text
//! read:  deadline → limiter (FIFO) → breaker permit → pooled connection → query → classify → settle
//! write: breaker permit → bounded queue → writer thread: BEGIN IMMEDIATE, the jobs, one COMMIT → answer
//! ```
//! What must stay true: an answered write is on disk; every call ends by its deadline; codes decide, never texts;
//! what a breaker, a retry or a pool does is visible through [`Observer`] and [`Database::status`].
//! Usable from any tokio program with its own migrations and no HTTP; it imports nothing above floor 0. What is
//! promised, what can't be, and why, is told for operators in `docs/resilience.md`; `examples/guestbook.rs` is a small
//! application around it.
//!
//! ```
//! use std::sync::Arc;
//! use mainstay::clock::SystemClock;
//! use mainstay::db::{Database, DatabaseSettings, Effect, Migration, Operation, Options, Unobserved};
//!
//! const SCHEMA: &[Migration] = &[Migration { version: 1, name: "notes", sql: "CREATE TABLE notes(text TEXT)" }];
//! const ADD: Operation = Operation::write("notes.add");
//! const COUNT: Operation = Operation::point("notes.count");
//!
//! # #[tokio::main(flavor = "multi_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("notes.db");
//! let options = Options {
//!     name: "notes",
//!     path,
//!     application_id: 1,
//!     migrations: SCHEMA,
//!     settings: DatabaseSettings::default(),
//! };
//! let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved))?;
//! // Probes it and brings it back by itself after a bad day, for as long as the program runs.
//! tokio::spawn({ let database = database.clone(); async move { database.watch().await } });
//! database
//!     .write(ADD, |c| c.execute("INSERT INTO notes VALUES ('milk')", []).map(Effect::Commit))
//!     .await?; // On disk.
//! let count = database.read(COUNT, |c| c.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0)));
//! assert_eq!(count.await?, 1);
//! database.close(std::time::Duration::from_secs(5));
//! # Ok(())
//! # }
//! ```
//!
//! # The map
//! | on the way of | files |
//! |---|---|
//! | every operation | `database` (the handle), `operation`, `deadline`, `error`, `active` (what runs), `observe`, `status` |
//! | a decision | `classify` (the code table), `verdict`, `retry`, `backoff`, [`breaker`] |
//! | a read | `limiter`, `adaptive`, `readers`, `pool`, `connection` |
//! | a write | `writer`, `idempotency` (keys), `sequence` (the last acknowledged commit), `internal` (the layer's own tables) |
//! | the file at the start | `migrations`, `identity`, `gap` (commits that are missing), `open_error` |
//! | the file on its bad day | `health` (probe, watch, isolation), `verify`, `evidence`, `room` and `reserve` (a full disk), `disk` |
//! | its write-ahead log | `log` (kept alive), `checkpoint` (kept short), `frames` (what is in it), `wal`, `holders` (who holds which lock) |
//! | what statements cost | [`statements`] |
//! | what SQLite notes by itself, and its memory | `sqlite_log`, `memory` |

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
mod frames;
mod gap;
mod handle;
mod health;
mod holders;
mod idempotency;
mod identity;
mod internal;
mod limiter;
mod log;
mod memory;
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
#[cfg(test)]
mod simulation;
mod sqlite_log;
pub mod statements;
mod status;
mod verdict;
mod verify;
mod wait;
mod wal;
mod writer;

pub use crate::config::{
    BreakerSettings, DatabaseSettings, HealthSettings, OperationSettings, PoolSettings, RetrySettings,
};
pub use active::{ActiveOperation, Cancel, OperationId, Phase};
pub use breaker::BreakerStatus;
pub use checkpoint::{Checkpoint, CheckpointReport};
pub use database::{COMMIT_GRACE, Database, Options, PoolChange};
pub use error::{DbError, ErrorKind};
pub use gap::Gap;
pub use health::{DamageReport, ProbeReport};
pub use holders::{Lock, LockHolder};
pub use idempotency::{Answered, KEPT_FOR, Once};
pub use log::LogGeneration;
pub use migrations::{Migration, inspect};
pub use observe::{BreakerChange, Observer, SlowStatement, Unobserved};
pub use open_error::OpenError;
pub use operation::{Cost, Effect, Operation, Origin, Repeat, Safe};
pub use reserve::{RESERVE_BYTES, ReserveStatus};
pub use rusqlite;
pub use sequence::{MissingCommits, sequence_path};
pub use sqlite_log::{log_notices, sum_up_notices};
pub use status::{DatabaseStatus, PoolStatus, RetryStatus, WriterStatus};
pub use wal::WalStatus;
