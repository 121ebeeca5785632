//! Bodies (floor 5): read whole within a limit, parsed with errors that say where.
//!
//! What must stay true: a body past its limit is refused, never cut short; nothing is done before the whole body is
//! there. Used by handlers that take a body.

use std::time::Duration;

use rocket::data::{Data, ToByteUnit};
use rocket::http::ContentType;
use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::Problem;
use super::trace::refuse;

/// How long a body may take to arrive: a client that stalls must not hold its request for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a body is said to be, for handlers that take one; a compressed body is refused, because it would not be
/// understood.
pub struct Media<'r>(pub Option<&'r ContentType>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Media<'r> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        match request.headers().get_one("Content-Encoding") {
            Some(encoding) if !encoding.trim().eq_ignore_ascii_case("identity") => {
                let detail = format!("Content-Encoding {encoding} is not understood; send the body as it is.");
                let problem = Problem::new(Code::UnsupportedMediaType, detail);
                refuse(request, problem.with_header("Accept-Encoding", "identity"))
            }
            _ => Outcome::Success(Self(request.content_type())),
        }
    }
}

/// The whole body, at most `limit` bytes.
///
/// # Errors
/// 413 naming the limit; 400 when the client broke off; 408 when it stalled.
pub async fn read_body(data: Data<'_>, limit: u64) -> Result<Vec<u8>, Problem> {
    let stalled = |_| {
        Problem::new(
            Code::RequestTimeout,
            format!("The body did not arrive within {} s.", PATIENCE.as_secs()),
        )
    };
    let arriving = data.open(limit.bytes()).into_bytes();
    let read = rocket::tokio::time::timeout(PATIENCE, arriving)
        .await
        .map_err(stalled)?;
    let broke_off = |_| Problem::new(Code::InvalidRequest, "The body ended before it was complete.");
    let read = read.map_err(broke_off)?;
    if !read.is_complete() {
        let detail = format!("The body is larger than the {limit} bytes allowed here.");
        return Err(Problem::new(Code::PayloadTooLarge, detail));
    }
    Ok(read.into_inner())
}

/// A JSON value.
///
/// # Errors
/// 400 with line and column.
pub fn parse_json(body: &[u8]) -> Result<serde_json::Value, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(
            Code::InvalidRequest,
            "The body is empty; JSON is expected.",
        ));
    }
    serde_json::from_slice(body).map_err(|error| not_json(&error))
}

/// That a body isn't JSON, and where.
pub(super) fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::InvalidRequest, format!("The body is not valid JSON: {error}."))
}

/// Refuses a media type that isn't understood; an absent one is taken as the first allowed.
///
/// # Errors
/// 415 naming the allowed ones.
pub fn expect_media_type(content_type: Option<&ContentType>, allowed: &[&str]) -> Result<(), Problem> {
    let Some(given) = content_type else { return Ok(()) };
    let essence = format!("{}/{}", given.top(), given.sub());
    if allowed.iter().any(|name| name.eq_ignore_ascii_case(&essence)) {
        return Ok(());
    }
    let detail = format!(
        "Content-Type {essence} is not understood here; allowed: {}.",
        allowed.join(", ")
    );
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_json_is_located() {
        let problem = parse_json(b"{\"a\": }").expect_err("malformed");
        assert_eq!(problem.status().code, 400);
        assert!(problem.detail.contains("line 1 column 7"), "{}", problem.detail);
        assert!(parse_json(b"  ").expect_err("empty").detail.contains("empty"));
    }

    #[test]
    fn media_types_are_compared_without_their_parameters() {
        let json = ContentType::new("application", "json").with_params(("charset", "utf-8"));
        assert!(expect_media_type(Some(&json), &["application/json"]).is_ok());
        let problem = expect_media_type(Some(&ContentType::XML), &["application/json"]).expect_err("refused");
        assert!(problem.detail.contains("application/json"));
    }
}
