//! What is known of the request on its way (floor 5): its id, when it began, and what went wrong with it.
//!
//! What must stay true: there is one trace a request, made by the first who asks; a request id that comes in is
//! echoed only if it matches `[A-Za-z0-9._-]{1,128}`, otherwise it is a new UUIDv7. The fairing reads the trace when
//! the response leaves; handlers and guards write to it.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rocket::outcome::IntoOutcome;
use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::Problem;
use crate::db::{DbError, Origin};
use crate::events::EventContext;

/// A problem that went out.
#[derive(Debug, Clone)]
pub struct SeenProblem {
    /// Which.
    pub code: Code,
    /// What really happened.
    pub internal: Option<DbError>,
}

/// The trace.
pub struct Trace {
    /// The request id.
    pub id: String,
    /// The W3C trace that the caller says this belongs to: 32 hex digits.
    pub trace_id: Option<String>,
    /// When the request began.
    pub began: Instant,
    seen: Mutex<Option<SeenProblem>>,
    refusal: Mutex<Option<Problem>>,
}

fn is_acceptable(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.bytes().all(allowed)
}

/// The trace id of a W3C `traceparent` header (`00-<32 hex>-<16 hex>-<2 hex>`, lower case); one that is malformed or
/// all zeros is ignored, as the recommendation asks. Later versions may append further fields.
fn trace_id_of(traceparent: &str) -> Option<&str> {
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length: usize| is_hex(text, length) && text.bytes().any(|b| b != b'0');
    let mut parts = traceparent.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version_fits = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (version_fits && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)).then_some(trace)
}

fn new_id() -> String {
    let mut text = uuid::Uuid::encode_buffer();
    uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text).to_owned()
}

impl Trace {
    /// The request's trace.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| {
            let given = request.headers().get_one("X-Request-Id").filter(|id| is_acceptable(id));
            let id = given.map_or_else(new_id, str::to_owned);
            let trace_id = request
                .headers()
                .get_one("traceparent")
                .and_then(trace_id_of)
                .map(str::to_owned);
            Self {
                id,
                trace_id,
                began: Instant::now(),
                seen: Mutex::new(None),
                refusal: Mutex::new(None),
            }
        })
    }

    /// Keeps the problem that goes out.
    pub fn remember(&self, problem: SeenProblem) {
        *self.seen.lock() = Some(problem);
    }

    /// The problem that went out.
    pub fn seen(&self) -> Option<SeenProblem> {
        self.seen.lock().clone()
    }

    /// The problem a guard refused with.
    pub fn take_refusal(&self) -> Option<Problem> {
        self.refusal.lock().take()
    }
}

/// A guard's refusal: kept for the catcher, which answers with it.
pub fn refuse<T>(request: &Request<'_>, problem: Problem) -> Outcome<T, Problem> {
    *Trace::of(request).refusal.lock() = Some(problem.clone());
    Err(problem.clone()).or_error(problem.status())
}

/// What captured events say of the request they were born in.
pub fn event_context(request: &Request<'_>) -> EventContext {
    EventContext::from(&*origin(request))
}

/// The request as the origin of what it brings about.
pub fn origin(request: &Request<'_>) -> Arc<Origin> {
    Arc::new(Origin {
        request_id: Trace::of(request).id.clone(),
        ip: request.client_ip().map(|ip| ip.to_string()),
        path: request.uri().path().to_string(),
    })
}

/// The request's identity, as a guard for handlers.
#[derive(Debug, Clone)]
pub struct RequestContext(pub Arc<Origin>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RequestContext {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        Outcome::Success(Self(origin(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::{is_acceptable, trace_id_of};

    #[test]
    fn only_harmless_ids_are_echoed() {
        assert!(is_acceptable("0192f0c0-aa.b_c"));
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(129), "<script>"] {
            assert!(!is_acceptable(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_traceparent_is_understood_and_a_malformed_one_ignored() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id_of(&format!("00-{trace}-00f067aa0ba902b7-01")), Some(trace));
        assert_eq!(
            trace_id_of(&format!("cc-{trace}-00f067aa0ba902b7-01-later")),
            Some(trace)
        );
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(trace_id_of(bad), None, "{bad}");
        }
    }
}
