//! What is known of the request on its way (floor 5): its id, when it began, and what went wrong with it.
//!
//! What must stay true: there is one trace a request, made by the first who asks; a request id that comes in is
//! echoed only if it matches `[A-Za-z0-9._-]{1,128}`, otherwise it is a new UUIDv7. The fairing reads the trace when
//! the response leaves; handlers and guards write to it.

use std::time::Instant;

use parking_lot::Mutex;
use rocket::outcome::IntoOutcome;
use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::Problem;
use crate::db::DbError;
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
    /// When the request began.
    pub began: Instant,
    seen: Mutex<Option<SeenProblem>>,
    refusal: Mutex<Option<Problem>>,
}

fn is_acceptable(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=128).contains(&id.len()) && id.bytes().all(allowed)
}

impl Trace {
    /// The request's trace.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| {
            let given = request.headers().get_one("X-Request-Id").filter(|id| is_acceptable(id));
            let id = given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
            Self {
                id,
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
    EventContext {
        request_id: Some(Trace::of(request).id.clone()),
        ip: request.client_ip().map(|ip| ip.to_string()),
        path: Some(request.uri().path().to_string()),
    }
}

/// The request's identity, as a guard for handlers.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The request id.
    pub request_id: String,
    /// The other end of the socket.
    pub ip: Option<String>,
    /// The path without its query.
    pub path: String,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RequestContext {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        Outcome::Success(Self {
            request_id: Trace::of(request).id.clone(),
            ip: request.client_ip().map(|ip| ip.to_string()),
            path: request.uri().path().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_acceptable;

    #[test]
    fn only_harmless_ids_are_echoed() {
        assert!(is_acceptable("0192f0c0-aa.b_c"));
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(129), "<script>"] {
            assert!(!is_acceptable(bad), "{bad:?}");
        }
    }
}
