//! The `Idempotency-Key` header (floor 6): which key, for which request.
//!
//! What must stay true: a key counts within its method and the path it is sent to, so that two programs that number
//! their requests alike only meet where they write the same thing; the fingerprint covers all that decides about the
//! effect: conditions and body. The keys are kept and judged in `db`, in the transaction of the change.
use rocket::request::Request;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::reply::Reply;
use crate::db::{Answered, Once};
use crate::http::{ApiResult, Code, Problem};
use crate::records::Refusal;

const HEADER: &str = "Idempotency-Key";
const LONGEST: usize = 255;

/// The key that was sent with a request, if one was; 400 when it is malformed or there are several.
pub fn once(request: &Request<'_>, body: &impl Serialize) -> ApiResult<Option<Once>> {
    let mut sent = request.headers().get(HEADER);
    let Some(key) = sent.next() else { return Ok(None) };
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=LONGEST).contains(&key.len()) || !is_visible || sent.next().is_some() {
        let allowed = format!("must be sent once, with 1 to {LONGEST} visible ASCII characters");
        return Err(Problem::invalid(HEADER, allowed));
    }
    let (method, path) = (request.method(), request.uri().path());
    Ok(Some(Once {
        key: format!("{method} {path} {key}"),
        fingerprint: fingerprint(request, body),
    }))
}

/// A digest of the request's conditions and body. What was parsed is taken rather than the bytes, so that a client may
/// format its JSON anew; the order of members counts, because it is kept.
fn fingerprint(request: &Request<'_>, body: &impl Serialize) -> [u8; 32] {
    let mut digest = Sha256::new();
    for name in ["If-Match", "If-None-Match"] {
        // Each part is followed by a byte that no header holds, so that parts can't be confused.
        for value in request.headers().get(name) {
            digest.update(value);
            digest.update([0]);
        }
        digest.update([1]);
    }
    // JSON that was parsed always serialises.
    digest.update(serde_json::to_vec(body).unwrap_or_default());
    digest.finalize().into()
}

/// The response of a change: shaped from what was done now or, marked as a repetition, from what was done then.
pub fn answer<T>(
    answered: Answered<Result<T, Refusal>>,
    refused: impl FnOnce(Refusal) -> Problem,
    shape: impl FnOnce(T) -> Reply,
) -> ApiResult<Reply> {
    match answered {
        Answered::First(outcome) => outcome.map(shape).map_err(refused),
        Answered::Again(outcome) => outcome.map(|done| shape(done).replayed()).map_err(refused),
        Answered::Mismatch => {
            let detail = "This Idempotency-Key was sent before with another body or other conditions; a new request wants a new key.";
            Err(Problem::new(Code::IdempotencyMismatch, detail))
        }
    }
}
