//! The fairing around every request (floor 5): id and time in; headers, access line, numbers and events out.
//!
//! What must stay true: one access line and at most one failure event a request; nothing here waits for anything;
//! the request id is on every response. Attached once by `app`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Method};
use rocket::{Data, Request, Response};

use super::code::Code;
use super::panics;
use super::silence::{Busy, Connections, until_sent};
use super::trace::{Trace, event_context};
use super::{catchers::CaughtPanic, methods::Methods};
use crate::clock::SharedClock;
use crate::db::ErrorKind;
use crate::events::{Capture, NewEvent};
use crate::monitoring::{Evidence, Requests};

/// The fairing.
pub struct Skin {
    /// Numbers.
    pub requests: Arc<Requests>,
    /// Where failures go.
    pub capture: Capture,
    /// Where those that explain a breaker's state are noted.
    pub evidence: Arc<Evidence>,
    /// What is under way on which connection.
    pub connections: Arc<Connections>,
    /// MAINSTAY_SLOW_REQUEST_MS.
    pub slow_request: Duration,
    /// Time.
    pub clock: SharedClock,
}

#[rocket::async_trait]
impl Fairing for Skin {
    fn info(&self) -> Info {
        Info {
            name: "skin",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        undo_method_override(request, data).await;
        // What a background task's panic left on this thread is not this request's.
        panics::take_last();
        Trace::of(request);
        self.requests.began();
        request.local_cache(|| UnderWay(Mutex::new(request.remote().map(|peer| self.connections.busy(peer)))));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let trace = Trace::of(request);
        let took = trace.began.elapsed();
        let status = response.status().code;
        let slow = took >= self.slow_request;
        self.requests.ended(self.clock.now(), took, status, slow);
        let busy = request.local_cache(UnderWay::default).0.lock().take();
        if let Some(busy) = busy {
            until_sent(response, busy).await;
        }
        // In hundredths of a millisecond.
        let hundredths = (took.as_nanos() + 5_000) / 10_000;
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        response.set_header(Header::new("X-Request-Id", trace.id.clone()));
        response.set_header(Header::new("Server-Timing", format!("total;dur={whole}.{rest:02}")));
        if !response.headers().contains("Cache-Control") {
            response.set_header(Header::new("Cache-Control", "no-store"));
        }
        if !response.headers().contains("X-Content-Type-Options") {
            response.set_header(Header::new("X-Content-Type-Options", "nosniff"));
        }
        tracing::info!(
            target: "mainstay::access",
            request_id = %trace.id,
            trace_id = trace.trace_id.as_deref(),
            method = %request.method(),
            path = %request.uri().path(),
            status,
            duration_ms = hundredths as f64 / 100.0,
            ip = request.client_ip().map(tracing::field::display),
            "request"
        );
        if status >= 500 {
            self.record_failure(request, trace, status);
        } else if slow {
            let event = NewEvent::slow_request(
                took,
                self.slow_request,
                request.method().as_str(),
                event_context(request),
            );
            self.capture.capture(event);
        }
    }
}

/// The request on its connection, until it has its answer.
#[derive(Default)]
struct UnderWay(Mutex<Option<Busy>>);

/// Rocket lets a form's first field `_method` stand in for POST. Nothing here takes forms, and a proxy or a page that
/// may only POST must not be able to delete that way.
async fn undo_method_override(request: &mut Request<'_>, data: &mut Data<'_>) {
    const FIELD: &[u8] = b"_method=";
    let is_form = request.content_type().is_some_and(|given| given.is_form());
    if is_form && data.peek(FIELD.len()).await.starts_with(FIELD) {
        request.set_method(Method::Post);
    }
}

impl Skin {
    fn record_failure(&self, request: &Request<'_>, trace: &Trace, status: u16) {
        let context = event_context(request);
        let seen = trace.seen();
        let code = seen.as_ref().map_or(Code::Internal, |seen| seen.code);
        let caught = request.local_cache(CaughtPanic::default).take();
        if status == 503 && seen.is_none() && caught.is_none() {
            // No problem stands behind it: it is a probe's answer, and what it tells of is recorded where it happens.
            return;
        }
        if code == Code::EventsNotAccepted {
            // The event path's own failure: it went to standard error and the ledger, and would only make matters worse here.
            return;
        }
        let error = seen.and_then(|seen| seen.internal);
        let event = match (caught, &error) {
            (Some(panic), _) => NewEvent::panic(&panic.message, &panic.location, context),
            (None, Some(error)) => NewEvent::from_db_error(error, context),
            (None, None) => NewEvent::http_failure(status, code.row().0, code.row().2, context),
        };
        let id = self.capture.capture(event);
        // A refusal by an open breaker explains nothing; what was tried and failed does.
        let tried =
            error.filter(|error| !matches!(error.kind, ErrorKind::CircuitOpen { .. } | ErrorKind::ShuttingDown));
        if let Some(error) = tried {
            let reads = matches!(request.method(), Method::Get | Method::Head);
            let breaker = format!("{}.{}", error.database, if reads { "read" } else { "write" });
            self.evidence.add(&breaker, id, self.clock.now());
        }
    }
}

/// Makes the table of methods once all routes are mounted.
pub fn methods_table() -> impl Fairing {
    rocket::fairing::AdHoc::on_ignite("methods", |rocket| async move {
        let methods = Methods::of(rocket.routes());
        rocket.manage(methods)
    })
}
