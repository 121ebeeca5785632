//! What SDKs are answered (floor 6): `{"id": …}` or a problem, with the headers that tell them what not to send.

use std::io::Cursor;
use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use uuid::Uuid;

use crate::api::errors::{not_accepted, rate_limited};
use crate::events::sentry::UNSUPPORTED;
use crate::events::{ErrorEvent, EventLog, IngestOutcome, Refusal, Reporter};
use crate::http::Problem;

/// How long an SDK keeps to what it was told of kinds that are not kept, in seconds.
const UNSUPPORTED_SECONDS: u64 = 3600;
/// How long an SDK keeps still whose source sent too many: it throws events away meanwhile and reports how many.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);
/// What a page of another origin may send and read, and for how many seconds its browser needn't ask again.
const ALLOWED_HEADERS: &str = "X-Sentry-Auth, Content-Type, Content-Encoding, sentry-trace, baggage, Authorization";
const EXPOSED_HEADERS: &str = "X-Sentry-Rate-Limits, Retry-After, X-Sentry-Error";
const PREFLIGHT_SECONDS: &str = "3600";

/// The id of what was kept, or why nothing was.
pub(super) struct Answer(pub(super) Result<Option<Uuid>, Problem>);

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = match self.0 {
            Ok(id) => {
                let body = id.map_or_else(|| "{}".to_owned(), |id| format!("{{\"id\":\"{}\"}}", id.simple()));
                let mut response = Response::build();
                response.header(ContentType::JSON);
                let limits = format!("{UNSUPPORTED_SECONDS}:{UNSUPPORTED}:project:unsupported");
                response.header(Header::new("X-Sentry-Rate-Limits", limits));
                response.sized_body(body.len(), Cursor::new(body)).finalize()
            }
            Err(problem) => refusal(problem, request)?,
        };
        open_to_all(&mut response);
        response.set_header(Header::new("Access-Control-Expose-Headers", EXPOSED_HEADERS));
        Ok(response)
    }
}

fn refusal(problem: Problem, request: &Request<'_>) -> response::Result<'static> {
    let plain: String = problem
        .detail
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .collect();
    let wait = problem.retry_after;
    let mut response = problem.respond_to(request)?;
    response.set_header(Header::new("X-Sentry-Error", plain));
    if let Some(seconds) = wait {
        let limits = format!("{seconds}:error:project:quota");
        response.set_header(Header::new("X-Sentry-Rate-Limits", limits));
    }
    Ok(response)
}

/// The answer to a preflight.
pub(super) struct Preflight;

impl<'r> Responder<'r, 'static> for Preflight {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::new();
        response.set_status(Status::Ok);
        open_to_all(&mut response);
        response.set_header(Header::new("Access-Control-Allow-Methods", "POST"));
        response.set_header(Header::new("Access-Control-Allow-Headers", ALLOWED_HEADERS));
        response.set_header(Header::new("Access-Control-Max-Age", PREFLIGHT_SECONDS));
        Ok(response)
    }
}

/// No cookie and no token counts here, so any page may send and read.
fn open_to_all(response: &mut Response<'_>) {
    response.set_header(Header::new("Access-Control-Allow-Origin", "*"));
    // A page that isolates itself may load nothing of another origin that doesn't say so.
    response.set_header(Header::new("Cross-Origin-Resource-Policy", "cross-origin"));
}

/// Brings events to the disk. It is a task of its own: an SDK whose program ends hangs up before the answer.
///
/// # Errors
/// Neither events.db nor the spool took them.
///
/// `per_minute` is the limit of the source that the key stands for, where it has its own; 429 says how long SDKs keep still.
pub(super) async fn keep(log: &EventLog, events: Vec<ErrorEvent>, per_minute: Option<u32>) -> Result<(), Problem> {
    let Some(name) = events.first().map(|event| event.source.clone().unwrap_or_default()) else {
        return Ok(());
    };
    let log = log.clone();
    let kept = tokio::spawn(async move {
        let name = &name;
        log.report(Reporter::Source { name, per_minute }, events).await
    });
    let outcomes = kept.await.map_err(|_| not_accepted(Duration::from_secs(1)))?;
    let over = outcomes.iter().find_map(|outcome| match outcome {
        IngestOutcome::RateLimited(refusal) => Some(*refusal),
        _ => None,
    });
    if let Some(refusal) = over {
        let retry_after = refusal.retry_after.max(QUOTA_PAUSE);
        return Err(rate_limited(Refusal { retry_after, ..refusal }));
    }
    let refused = outcomes.iter().filter_map(|outcome| match outcome {
        IngestOutcome::NotAccepted { retry_after } => Some(*retry_after),
        _ => None,
    });
    refused.max().map_or(Ok(()), |longest| Err(not_accepted(longest)))
}
