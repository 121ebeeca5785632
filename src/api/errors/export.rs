//! `GET /api/monitoring/errors/export` (floor 6): all that the filters find, streamed.
//!
//! What must stay true: a page is held at a time, and read when the client has taken the one before; no database is held
//! while it is sent; an answer that ends in order is complete, one that can't be completed is cut off.

use std::io::Cursor;

use rocket::futures::StreamExt;
use rocket::http::{ContentType, Header};
use rocket::request::Request;
use rocket::response::stream::ReaderStream;
use rocket::response::{self, Responder, Response};
use rocket::{Shutdown, State, get};

use super::params;
use crate::clock::epoch_ms;
use crate::db::Origin;
use crate::events::query::{self, Filter};
use crate::events::{EventLog, LoggedEvent};
use crate::http::guards::{EventsRead, MonitorRead, Needs, RequestContext, Standing};
use crate::http::{ApiResult, Connection, Door, Problem, Query};

mod csv;
mod flow;

use flow::Flow;

/// The largest piece that is handed to the connection.
const PIECE_BYTES: usize = 64 << 10;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// One event a line, as JSON.
    Ndjson,
    /// A table with a heading.
    Csv,
}

impl Format {
    fn of(parameters: &Query) -> ApiResult<Self> {
        let Some(wanted) = parameters.text("format") else {
            return Ok(Self::Ndjson);
        };
        let known = [Self::Ndjson, Self::Csv]
            .into_iter()
            .find(|format| format.name() == wanted);
        known.ok_or_else(|| Problem::invalid("format", "must be ndjson or csv"))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    fn content_type(self) -> ContentType {
        match self {
            Self::Ndjson => ContentType::new("application", "x-ndjson"),
            Self::Csv => ContentType::new("text", "csv").with_params([("charset", "utf-8"), ("header", "present")]),
        }
    }

    const fn write(self) -> fn(&LoggedEvent, &mut Vec<u8>) {
        match self {
            Self::Ndjson => line,
            Self::Csv => csv::row,
        }
    }
}

fn line(event: &LoggedEvent, out: &mut Vec<u8>) {
    // Strings, numbers and raw JSON that was valid when it came in always serialise, and memory can be written to.
    let _ = serde_json::to_writer(&mut *out, event);
    out.push(b'\n');
}

#[get("/api/monitoring/errors/export")]
pub(super) async fn export<'r>(
    _may: Needs<MonitorRead>,
    parameters: Query,
    events: EventsRead,
    log: &State<EventLog>,
    stands: Stands<'r>,
) -> ApiResult<Exporting<'r>> {
    params::only_filters_and(&parameters, &["format"])?;
    let format = Format::of(&parameters)?;
    let now = log.now();
    let (filter, now_ms) = (params::filter(&parameters, now)?, epoch_ms(now));
    let pending = pending(&filter, log).await;
    // What can't even be begun is a problem like any other.
    let first = query::stretch(&events.0, filter.clone(), (None, now_ms), format.write()).await?;
    let name = format!("errors-{}.{}", now.strftime("%Y%m%dT%H%M%SZ"), format.name());
    let flow = Flow::begin((events.0, filter, now_ms), format, first, stands);
    Ok(Exporting {
        format,
        name,
        pending,
        flow,
    })
}

/// Acknowledged events that can't be found yet.
async fn pending(filter: &Filter, log: &EventLog) -> u64 {
    let unfound = if filter.needs_index() { log.catch_up().await } else { 0 };
    log.spool_status().events + unfound
}

/// What an export depends on while it lasts.
pub(super) struct Stands<'r> {
    standing: Standing,
    door: &'r Door,
    end: Shutdown,
    connection: Connection,
    context: RequestContext,
}

#[rocket::async_trait]
impl<'r> rocket::request::FromRequest<'r> for Stands<'r> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> rocket::request::Outcome<Self, Problem> {
        use rocket::outcome::try_outcome;
        let Some(door) = request.rocket().state::<Door>() else {
            let problem = Problem::new(crate::http::Code::Internal, "Access is not set up.");
            return crate::http::refuse(request, problem);
        };
        rocket::request::Outcome::Success(Self {
            standing: try_outcome!(request.guard().await),
            door,
            end: request.rocket().shutdown(),
            connection: try_outcome!(request.guard().await),
            context: try_outcome!(request.guard().await),
        })
    }
}

impl Stands<'_> {
    fn origin(&self) -> &Origin {
        &self.context.0
    }
}

/// The answer.
pub(super) struct Exporting<'r> {
    format: Format,
    name: String,
    pending: u64,
    flow: Flow<'r>,
}

impl<'r> Responder<'r, 'r> for Exporting<'r> {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'r> {
        let mut response = Response::build();
        response
            .header(self.format.content_type())
            .header(Header::new(
                "Content-Disposition",
                format!("attachment; filename=\"{}\"", self.name),
            ))
            .max_chunk_size(PIECE_BYTES)
            .streamed_body(ReaderStream::from(self.flow.run().map(Cursor::new)));
        if self.pending > 0 {
            response.header(Header::new("Pending-Events", self.pending.to_string()));
        }
        response.ok()
    }
}
