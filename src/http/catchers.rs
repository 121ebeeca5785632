//! What answers where no handler did (floor 5): guards' refusals, unknown routes, wrong methods, panics.
//!
//! What must stay true: every such answer is a problem of the one form; OPTIONS and 405 carry Allow.

use parking_lot::Mutex;
use rocket::http::{Method, Status};
use rocket::response::{Responder, Response};
use rocket::{Catcher, Request, catch, catchers};

use super::code::Code;
use super::methods::Methods;
use super::panics;
use super::problem::Problem;
use super::trace::Trace;

/// The panic behind a 500, kept for the fairing.
#[derive(Default)]
pub struct CaughtPanic(Mutex<Option<panics::Seen>>);

impl CaughtPanic {
    /// Once.
    pub fn take(&self) -> Option<panics::Seen> {
        self.0.lock().take()
    }
}

/// A catcher's answer: a problem, or the answer to OPTIONS.
#[derive(Debug)]
pub enum Answer {
    /// A problem.
    Problem(Problem),
    /// 204 with these methods.
    Options(String),
}

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        match self {
            Answer::Problem(problem) => problem.respond_to(request),
            Answer::Options(allow) => Response::build()
                .status(Status::NoContent)
                .raw_header("Allow", allow)
                .ok(),
        }
    }
}

#[catch(default)]
fn anything(status: Status, request: &Request<'_>) -> Answer {
    if let Some(problem) = Trace::of(request).take_refusal() {
        return Answer::Problem(problem);
    }
    match status.code {
        404 | 405 => nowhere(request),
        400 | 422 => Answer::Problem(Problem::new(
            Code::InvalidRequest,
            "The request could not be understood.",
        )),
        413 => Answer::Problem(Problem::new(Code::PayloadTooLarge, "The body is larger than allowed.")),
        415 => Answer::Problem(Problem::new(
            Code::UnsupportedMediaType,
            "The body's media type is not understood.",
        )),
        503 => Answer::Problem(Problem::new(Code::ShuttingDown, "The service is shutting down.")),
        _ => {
            *request.local_cache(CaughtPanic::default).0.lock() = panics::take_last();
            Answer::Problem(Problem::new(
                Code::Internal,
                "An internal error; the log has it under the request id.",
            ))
        }
    }
}

fn nowhere(request: &Request<'_>) -> Answer {
    let path = request.uri().path();
    match Methods::allow_header(request) {
        Some(allow) if request.method() == Method::Options => Answer::Options(allow),
        Some(allow) if !allow.split(", ").any(|m| m == request.method().as_str()) => {
            let detail = format!("{path} does not answer to {}; allowed: {allow}.", request.method());
            Answer::Problem(Problem::new(Code::MethodNotAllowed, detail).with_header("Allow", allow))
        }
        _ => Answer::Problem(Problem::new(
            Code::RouteNotFound,
            format!("There is nothing at {path}."),
        )),
    }
}

/// The catchers, to be registered at `/`.
pub fn all() -> Vec<Catcher> {
    catchers![anything]
}
