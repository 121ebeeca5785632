//! Mainstay keeps an application's data and a persistent log of its errors in SQLite, and keeps answering while that
//! database is locked, full, slow or broken.
//!
//! # The house
//! Imports point down only; rooms on one floor never import each other (`tests/floors.rs` guards both).
//!
//! | floor | room | what it does |
//! |---|---|---|
//! | 8 | [`cli`] | commands: serve, check, config, errors, token, source |
//! | 7 | [`app`] | builds everything, wires observers, shuts down in order |
//! | 6 | [`api`] | one file a resource: handlers parse, call, shape |
//! | 5 | [`http`] | the skin: request ids, access log, guards, limits, problem responses |
//! | 4 | [`alerts`] | rules (pure) and what is active |
//! | 3 | [`monitoring`] | health, statistics, requests |
//! | 2 | [`events`], [`records`], [`access`] | the error log; application data; tokens, sources and open local use |
//! | 1 | [`db`] | the resilient SQLite layer |
//! | 0 | [`config`], [`clock`], [`quantiles`], [`rate`] | settings; time; percentiles; counts a minute |
//!
//! # The journeys
//! A request: id and start time → auth guard → database guard (looks at the breaker, no I/O) → handler → `db` →
//! JSON or one problem → headers, access line, numbers, and an event for a 5xx.
//! A write: the same until [`db::Database::write`]: bounded queue → the one writer thread → one transaction for
//! all who wait, in which a job that fails undoes only itself → one commit for all → only then every caller is answered.
//! An error event: capture (never blocks) or ingest → group, batch → events.db, or the spool when that fails →
//! replayed once it recovers.

#![warn(missing_docs)]

pub mod access;
pub mod alerts;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod events;
pub mod http;
pub mod monitoring;
pub mod quantiles;
pub mod rate;
pub mod records;
