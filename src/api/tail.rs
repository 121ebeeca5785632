//! `GET /api/monitoring/errors/tail` (floor 6): the event log as it grows, by server-sent events that can be resumed.
//!
//! What must stay true: each message has an `id`, and sending it back as `Last-Event-ID` or `after` goes on behind it,
//! without a skip or a repeat; the stream ends at shutdown, when its token is revoked or expires, and with its connection
//! when nothing of it is taken for too long.

use std::time::Duration;

use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::stream::{Event, EventStream};
use rocket::tokio::select;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::{Route, Shutdown, State, get, routes};
use serde_json::{Value, json};

use super::errors::params;
use crate::access::Scope;
use crate::events::EventLog;
use crate::events::tail::{After, Gap, Position, State as LogState, Tail, Tails, Told, TooMany, What};
use crate::http::guards::{MonitorRead, Needs, Standing};
use crate::http::{ApiResult, Code, Connection, Door, Problem, Query};

/// Between looks at the token of a reader that is told nothing.
const LOOK_AT_TOKEN_EVERY: Duration = Duration::from_secs(2);
/// When a refused reader may find a seat.
const RETRY_AFTER_SECONDS: u64 = 5;
const MUST_BE: &str = "must be the id of a message of this stream, such as 17-0badcafe";

/// What a browser sends when it comes back.
struct LastEventId<'r>(Option<&'r str>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LastEventId<'r> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        Outcome::Success(Self(request.headers().get_one("Last-Event-ID")))
    }
}

/// Events as they are stored, and `state`, `gap` and comments as signs of life.
#[allow(clippy::too_many_arguments, reason = "each is a guard")]
#[get("/api/monitoring/errors/tail")]
fn tail<'r>(
    _may: Needs<MonitorRead>,
    standing: Standing,
    connection: Connection,
    door: &'r State<Door>,
    query: Query,
    last: LastEventId<'r>,
    log: &'r State<EventLog>,
    tails: &'r State<Tails>,
    end: Shutdown,
) -> ApiResult<EventStream![Event + 'r]> {
    params::only_filters_and(&query, &["after"])?;
    let filter = params::filter(&query, log.now())?;
    // Its messages may be stuck in the connection: that it ends is all that such a client can be told.
    let cut = || drop(rocket::tokio::spawn(async move { connection.cut().await }));
    let tail = tails.open(filter, after(&last, &query)?, cut).map_err(full)?;
    Ok(messages(tail, standing, door, end))
}

fn messages(mut tail: Tail, standing: Standing, door: &State<Door>, mut end: Shutdown) -> EventStream![Event + '_] {
    let stream = EventStream! {
        let mut looks = interval(LOOK_AT_TOKEN_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = select! {
                told = tail.next() => told,
                _ = looks.tick() => Some(Vec::new()),
                _ = &mut end => None,
            };
            let Some(told) = told.filter(|_| standing.holds(door, Scope::MonitorRead)) else {
                break;
            };
            for one in told {
                yield message(one);
            }
        }
    };
    // The reader gives signs of life itself, with its position.
    stream.heartbeat(None)
}

/// Where to begin. The header comes from a browser that read further than its address says.
fn after(last: &LastEventId<'_>, query: &Query) -> ApiResult<After> {
    let position = |text| Position::parse(text).map(After::Position);
    if let Some(text) = last.0 {
        return position(text).ok_or_else(|| Problem::invalid("Last-Event-ID", MUST_BE));
    }
    match query.text("after") {
        None => Ok(After::Now),
        Some("0") => Ok(After::Beginning),
        Some(text) => {
            position(text).ok_or_else(|| Problem::invalid("after", format!("{MUST_BE}, or 0 for all that is kept")))
        }
    }
}

fn full(too_many: TooMany) -> Problem {
    let detail = format!(
        "All {} places are taken; MAINSTAY_TAIL_READERS sets how many there are.",
        too_many.limit
    );
    Problem::new(Code::TooManyReaders, detail).with_retry_after(RETRY_AFTER_SECONDS)
}

fn message(told: Told) -> Event {
    let event = match told.what {
        What::Event(json) => Event::data(json),
        What::State(state) => Event::json(&state_view(&state)).event("state"),
        What::Gap(gap) => Event::json(&gap_view(gap)).event("gap"),
        What::Sign => Event::comment("still here"),
    };
    match told.position {
        Some(position) => event.id(position.to_string()),
        None => event,
    }
}

fn state_view(state: &LogState) -> Value {
    let name = state.name();
    match state {
        LogState::Live => json!({ "state": name }),
        LogState::Waiting(events) => json!({
            "state": name, "pending": events,
            "detail": "Acknowledged events wait in the spool; they follow as soon as they are stored.",
        }),
        LogState::Unreadable(why) => json!({ "state": name, "detail": why }),
    }
}

fn gap_view(gap: Gap) -> Value {
    json!({ "reason": gap.name(), "detail": gap.detail() })
}

pub(super) fn routes() -> Vec<Route> {
    routes![tail]
}
