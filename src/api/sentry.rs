//! `/api/{project}/envelope/` and `/store/` (floor 6): where Sentry's SDKs report, whatever path they come below.
//!
//! What must stay true: an SDK doesn't send again, so a 200 means that its events are on disk, in events.db or in the
//! spool, and they get there also when it has hung up meanwhile (a request whose connection is closed before its first
//! bytes were read never comes here: hyper finds the end first and drops it); every answer may be read by a page of another origin,
//! because the key in it allows nothing but reporting; no answer depends on a database.

use rocket::data::Data;
use rocket::http::uri::Segments;
use rocket::http::uri::fmt::Path;
use rocket::http::{Method, Status};
use rocket::request::{FromSegments, Request};
use rocket::route::{Handler, Outcome};
use rocket::{Route, State, options, post, routes};
use uuid::Uuid;

use crate::events::EventLog;
use crate::http::{Code, Problem, SourceDoor};

mod answer;
mod intake;

use answer::{Answer, Preflight};
use intake::Caller;

/// Behind every other route but the dashboard's files; the two attributes below repeat it.
const RANK: isize = 90;

/// What a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Envelope,
    Store,
}

/// `[prefix/]api/{project}/envelope[/]` or `…/store[/]`: behind a proxy a DSN may have a path of its own.
struct Place {
    project: u32,
    form: Form,
}

impl<'r> FromSegments<'r> for Place {
    type Error = ();

    fn from_segments(segments: Segments<'r, Path>) -> Result<Self, ()> {
        let all: Vec<&str> = segments.filter(|segment| !segment.is_empty()).collect();
        let [.., "api", project, form] = all.as_slice() else {
            return Err(());
        };
        let form = match *form {
            "envelope" => Form::Envelope,
            "store" => Form::Store,
            _ => return Err(()),
        };
        let project = project.parse().map_err(drop)?;
        Ok(Self { project, form })
    }
}

/// Rocket knows no path whose beginning is open, so this looks at every POST that no other route but the dashboard's
/// files would take.
#[post("/<place..>", rank = 90, data = "<body>")]
async fn receive(
    place: Place,
    caller: Caller,
    door: &State<SourceDoor>,
    log: &State<EventLog>,
    body: Data<'_>,
) -> Answer {
    Answer(report(&place, &caller, door, log, body).await)
}

/// What a browser asks before it lets a page of another origin send.
#[options("/<_place..>", rank = 90)]
fn preflight(_place: Place) -> Preflight {
    Preflight
}

/// What these paths answer to any other method. A type instead of a function, because a function can't forward.
#[derive(Clone, Copy)]
struct OtherMethod;

#[rocket::async_trait]
impl Handler for OtherMethod {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        if Place::from_segments(request.uri().path().segments()).is_err() {
            return Outcome::forward(data, Status::NotFound);
        }
        let detail = format!("SDKs report here by POST, not by {}.", request.method());
        let problem = Problem::new(Code::MethodNotAllowed, detail).with_header("Allow", "OPTIONS, POST");
        Outcome::from(request, problem)
    }
}

async fn report(
    place: &Place,
    caller: &Caller,
    door: &SourceDoor,
    log: &EventLog,
    body: Data<'_>,
) -> Result<Option<Uuid>, Problem> {
    let report = intake::receive(place, caller, door, log, body).await?;
    for (reason, count) in &report.discarded {
        log.clients().discarded(reason, *count);
    }
    report.skipped.iter().for_each(|kind| log.clients().skipped(kind));
    answer::keep(log, report.events, door.sources.limit(place.project)).await?;
    Ok(report.id)
}

pub(super) fn routes() -> Vec<Route> {
    let others = [Method::Get, Method::Put, Method::Patch, Method::Delete];
    let others = others.map(|method| Route::ranked(RANK, method, "/<_place..>", OtherMethod));
    routes![receive, preflight].into_iter().chain(others).collect()
}
