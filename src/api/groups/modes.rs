//! `/api/monitoring/grouping` (floor 6): by which rules events are grouped, which sources opted out, and what the rules of
//! today would make of what is stored.
//!
//! What must stay true: a preview changes nothing; a mode is on disk before it is answered, and is for new events alone.

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, get, put, routes};
use serde_json::{Value, json};

use super::body::Body;
use super::hand::Hand;
use crate::db::rusqlite::Connection;
use crate::db::{Effect, Operation};
use crate::events::group::{self, MOST_MODES, Mode, Preview};
use crate::http::guards::{EventsRead, MonitorRead, MonitorWrite, Needs};
use crate::http::{ApiResult, Code, Problem, Query};

/// Most events that a preview groups anew: about half a second's work.
const MOST_PREVIEWED: u64 = 10_000;
/// As long as an event's source may be.
const LONGEST_SOURCE: usize = 128;

pub(super) fn routes() -> Vec<Route> {
    routes![shown, set]
}

#[get("/api/monitoring/grouping")]
async fn shown(_may: Needs<MonitorRead>, query: Query, events: EventsRead) -> ApiResult<Json<Value>> {
    query.only(&["preview"])?;
    let newest = query.number("preview", 1, MOST_PREVIEWED)?;
    let newest = newest.and_then(|newest| u32::try_from(newest).ok());
    let read = move |c: &Connection| {
        let preview: Option<Preview> = newest.map(|newest| group::preview(c, newest)).transpose()?;
        Ok((group::modes(c)?, preview))
    };
    let (modes, preview) = events.0.read(Operation::scan("grouping.get"), read).await?;
    let mut sources: Vec<(String, Mode)> = modes.into_iter().collect();
    sources.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let sources: Vec<Value> = sources.iter().map(|(source, mode)| view(source, *mode)).collect();
    let mut answer = json!({ "version": group::VERSION, "sources": sources });
    if let Some(preview) = preview {
        answer["preview"] = json!(preview);
    }
    Ok(Json(answer))
}

#[put("/api/monitoring/grouping", data = "<data>")]
async fn set(_may: Needs<MonitorWrite>, hand: Hand<'_>, query: Query, data: Data<'_>) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    let mut body = Body::read(hand.media.0, data, &["source", "mode"]).await?;
    let (source, mode) = wanted(&mut body);
    let by = hand.by(&mut body);
    body.sound()?;
    let name = source.clone();
    let job = move |c: &Connection| group::set_mode(c, &name, mode).map(Effect::Commit);
    let operation = Operation::write("grouping.set").idempotent();
    if !hand.events.0.write(operation, job).await? {
        let told = format!("{MOST_MODES} sources have a mode of their own already; set one of them to learned first.");
        return Err(Problem::new(Code::Conflict, told));
    }
    tracing::info!(
        source,
        ?mode,
        actor = by.actor,
        reason = by.reason,
        "a source's grouping was set"
    );
    Ok(Json(view(&source, mode)))
}

fn view(source: &str, mode: Mode) -> Value {
    json!({ "source": source, "mode": mode })
}

/// The source, `""` for events that name none, and how it wants to be grouped.
fn wanted(body: &mut Body) -> (String, Mode) {
    let source = match body.take("source") {
        Some(Value::String(source)) if source.len() <= LONGEST_SOURCE => source,
        _ => {
            body.refuse(
                "/source",
                format!("must be a source's name of at most {LONGEST_SOURCE} bytes, or \"\" for events that name none"),
            );
            String::new()
        }
    };
    let mode = match body.take("mode").as_ref().and_then(Value::as_str) {
        Some("learned") => Mode::Learned,
        Some("exact") => Mode::Exact,
        Some("fingerprint") => Mode::Fingerprint,
        _ => {
            body.refuse("/mode", "must be learned, exact or fingerprint");
            Mode::Learned
        }
    };
    (source, mode)
}
