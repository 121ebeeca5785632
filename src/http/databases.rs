//! The two databases and the guards that hand them out (floor 5): the only way for a handler to get one.
//!
//! What must stay true: a guard looks at the breaker without I/O and refuses with 503 and Retry-After before any
//! work is done; a handler that has a reading guard can't be handed the writing one by mistake.

use std::sync::Arc;

use rocket::request::{FromRequest, Outcome, Request};

use super::problem::Problem;
use super::trace::{origin, refuse};
use crate::db::{Database, DbError};

/// Both databases; managed state (as `Arc<Databases>`).
pub struct Databases {
    /// Application data.
    pub app: Database,
    /// Error events, alerts, metric history.
    pub events: Database,
}

impl Databases {
    /// Whether both read and write.
    pub fn are_healthy(&self) -> bool {
        self.app.is_healthy() && self.events.is_healthy()
    }
}

fn admit<'r, G>(
    request: &'r Request<'_>,
    database: impl Fn(&'r Databases) -> &'r Database,
    check: impl Fn(&Database) -> Result<(), DbError>,
    guard: impl Fn(Database) -> G,
) -> Outcome<G, Problem> {
    let Some(databases) = request.rocket().state::<Arc<Databases>>() else {
        return refuse(
            request,
            Problem::new(super::Code::Internal, "The databases are not set up."),
        );
    };
    let database = database(databases);
    match check(database) {
        Ok(()) => Outcome::Success(guard(database.on_behalf_of(origin(request)))),
        Err(error) => refuse(request, error.into()),
    }
}

/// The application's database, for reading.
pub struct AppRead(pub Database);

/// The application's database, for writing.
pub struct AppWrite(pub Database);

/// The event database, for reading.
pub struct EventsRead(pub Database);

/// The event database, for writing.
pub struct EventsWrite(pub Database);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AppRead {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        admit(request, |d| &d.app, Database::admits_read, Self)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AppWrite {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        admit(request, |d| &d.app, Database::admits_write, Self)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for EventsRead {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        admit(request, |d| &d.events, Database::admits_read, Self)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for EventsWrite {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        admit(request, |d| &d.events, Database::admits_write, Self)
    }
}
