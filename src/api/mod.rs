//! The resources (floor 6): one file each; handlers parse, call, shape.
//!
//! What must stay true: a handler gets authority and databases from guards only, and answers with its shape or one
//! problem. `app` mounts [`routes`] at `/`.

mod active;
mod alerts;
mod breakers;
pub mod dashboard;
mod data;
mod databases;
mod errors;
mod grouping;
mod groups;
mod health;
mod pool;
mod problems;
mod purges;
mod queries;
mod retention;
mod sentry;
mod session;
mod stats;
mod stream;
mod tail;

pub use health::Draining;

/// Every route.
pub fn routes() -> Vec<rocket::Route> {
    let all = [
        health::routes(),
        stats::routes(),
        retention::routes(),
        breakers::routes(),
        active::routes(),
        pool::routes(),
        queries::routes(),
        alerts::routes(),
        stream::routes(),
        errors::routes(),
        tail::routes(),
        groups::routes(),
        grouping::routes(),
        purges::routes(),
        sentry::routes(),
        data::routes(),
        databases::routes(),
        session::routes(),
        problems::routes(),
        dashboard::routes(),
    ];
    all.into_iter().flatten().collect()
}
