//! `/api/monitoring/grouping` (floor 6): how sources are grouped, and what other rules would make of the stored events.
//!
//! What must stay true: a choice is on disk before it is answered, and is for later events alone; a preview changes nothing.

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Value, json};

use crate::clock::{epoch_ms, from_epoch_ms, rfc3339_ms};
use crate::events::EventLog;
use crate::events::group::{self, Choice, Mode, Otherwise, Rules};
use crate::events::parse::MAX_SOURCE_BYTES;
use crate::http::body::Media;
use crate::http::guards::{Actor, EventsRead, EventsWrite, MonitorRead, MonitorWrite, Needs, NoParameters};
use crate::http::{ApiResult, Code, Members, Problem, Query};

/// Events that a preview groups anew.
const DEFAULT_EVENTS: u64 = 2000;
const MOST_EVENTS: u64 = 20_000;

/// The version of the rules, and the sources that are grouped otherwise.
#[get("/api/monitoring/grouping")]
async fn show(_may: Needs<MonitorRead>, _none: NoParameters, events: EventsRead) -> ApiResult<Json<Value>> {
    Ok(Json(view(&group::choices(&events.0).await?)))
}

/// Chooses how the later events of a source are grouped.
#[post("/api/monitoring/grouping", data = "<body>")]
async fn choose(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    events: EventsWrite,
    actor: Actor,
    log: &State<EventLog>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Value>> {
    let (source, mode) = chosen(Members::read(media.0, body, &["source", "mode"]).await?)?;
    let (actor, at_ms) = (Some(actor.0), Some(epoch_ms(log.now())));
    let choice = Choice {
        source,
        mode,
        actor,
        at_ms,
    };
    let made = group::choose(&events.0, choice).await?;
    made.map(|choices| Json(view(&choices))).ok_or_else(|| {
        let most = group::MOST_CHOICES;
        Problem::new(
            Code::Conflict,
            format!("{most} sources are grouped otherwise already; set one back to learned."),
        )
    })
}

/// What the rules, or others, would make of the newest events.
#[get("/api/monitoring/grouping/preview")]
async fn preview(_may: Needs<MonitorRead>, query: Query, events: EventsRead) -> ApiResult<Json<Value>> {
    query.only(&["events", "source", "mode", "threshold", "version"])?;
    let newest = query.number("events", 1, MOST_EVENTS)?.unwrap_or(DEFAULT_EVENTS);
    let otherwise = otherwise(&query)?;
    let newest = u32::try_from(newest).unwrap_or(u32::MAX);
    let version = otherwise.rules.number();
    let made = group::preview_of(&events.0, newest, otherwise).await?;
    let mut view = json!(made);
    if let Value::Object(members) = &mut view {
        members.insert("version".into(), json!(version));
    }
    Ok(Json(view))
}

fn otherwise(query: &Query) -> ApiResult<Otherwise> {
    let (fewest, most) = group::THRESHOLDS;
    let threshold = query.number("threshold", fewest as u64, most as u64)?;
    let mode = match (query.text("source"), query.text("mode")) {
        (None, None) => None,
        (Some(source), Some(mode)) => {
            let mode = Mode::from_name(mode).ok_or_else(|| Problem::invalid("mode", modes()))?;
            Some((source.to_owned(), mode))
        }
        (Some(_), None) => {
            return Err(Problem::invalid(
                "mode",
                format!("is wanted beside source: {}", modes()),
            ));
        }
        (None, Some(_)) => {
            let detail = "is wanted beside mode; an empty one is that of events that name none";
            return Err(Problem::invalid("source", detail));
        }
    };
    let threshold = threshold.and_then(|number| usize::try_from(number).ok());
    Ok(Otherwise {
        mode,
        threshold,
        rules: rules(query)?,
    })
}

/// The version of the rules that is asked for.
fn rules(query: &Query) -> ApiResult<Rules> {
    let numbers = Rules::ALL.map(|rules| u64::from(rules.number()));
    let number = query.number("version", numbers[0], numbers[numbers.len() - 1])?;
    Ok(number.and_then(Rules::from_number).unwrap_or_default())
}

fn modes() -> String {
    format!("must be one of {}", Mode::ALL.map(Mode::name).join(", "))
}

fn chosen(mut body: Members) -> ApiResult<(String, Mode)> {
    // `null` is the source of events that name none; left out by mistake it must not mean that.
    let wrong = || format!("must be a string of 1 to {MAX_SOURCE_BYTES} bytes, or null for events that name no source");
    if !body.has("source") {
        body.refuse("/source", wrong());
    }
    let source = body.known("source", wrong, |source| match source {
        Value::Null => Some(String::new()),
        Value::String(text) if (1..=MAX_SOURCE_BYTES).contains(&text.len()) => Some(text),
        _ => None,
    });
    if !body.has("mode") {
        body.refuse("/mode", modes());
    }
    let mode = body.known("mode", modes, |mode| mode.as_str().and_then(Mode::from_name));
    body.sound()?;
    Ok((source.unwrap_or_default(), mode.unwrap_or_default()))
}

fn view(choices: &[Choice]) -> Value {
    let one = |choice: &Choice| {
        json!({
            "source": Some(&choice.source).filter(|source| !source.is_empty()), "mode": choice.mode,
            "by": choice.actor, "at": choice.at_ms.map(|ms| rfc3339_ms(from_epoch_ms(ms))),
        })
    };
    let modes: Vec<Value> = choices.iter().map(one).collect();
    json!({ "version": Rules::default().number(), "default": Mode::default(), "modes": modes })
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, choose, preview]
}
