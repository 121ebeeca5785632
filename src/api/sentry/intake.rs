//! A request of an SDK into a report (floor 6): who sends, what it is packed in, what it holds.
//!
//! What must stay true: a key that is shown outside the body is judged before the body is read; large bodies are taken
//! apart off the async workers.

use std::net::IpAddr;

use rocket::data::Data;
use rocket::http::RawStr;
use rocket::request::{FromRequest, Outcome, Request};

use super::{Form, Place};
use crate::events::EventLog;
use crate::events::sentry::{self, Arrival, Dsn, Report, Unusable, key_of_header};
use crate::http::body::read_body;
use crate::http::encoding::{Encoding, decoded, encoding_of, is_zlib};
use crate::http::{Code, Problem, SourceDoor};

/// Most bytes of a packed body, and of any whose sender is known only by what is in it.
const MAX_PACKED_BYTES: usize = 1 << 20;
/// Most bytes of a body as it is, or unpacked: an event with what is attached to it.
const MAX_BODY_BYTES: usize = 10 << 20;
/// From this size on taking it apart is felt by the other requests of a worker.
const LARGE_BODY_BYTES: usize = 64 << 10;

/// What a request shows of its sender, and how its body is packed.
pub(super) struct Caller {
    key: Option<String>,
    encoding: Result<Encoding, Problem>,
    /// The socket's other end, or what a trusted proxy says of it.
    ip: Option<IpAddr>,
    remote: Option<IpAddr>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let headers = request.headers();
        let named = |name| headers.get(name).find_map(key_of_header);
        let shown = named("X-Sentry-Auth").or_else(|| named("Authorization"));
        Outcome::Success(Self {
            key: shown.map(str::to_owned).or_else(|| key_of_query(request)),
            encoding: encoding_of(request),
            ip: request.client_ip(),
            remote: request.remote().map(|remote| remote.ip()),
        })
    }
}

fn key_of_query(request: &Request<'_>) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = query.as_str().split('&').filter_map(|pair| pair.split_once('='));
    let (_, key) = pairs.find(|(name, _)| *name == "sentry_key")?;
    RawStr::new(key).url_decode_lossy().into_owned().into()
}

/// Reads and judges a request, and takes apart what it holds.
///
/// # Errors
/// 403 and 429 for its key; 400, 408, 413 and 415 for its body.
pub(super) async fn receive(
    place: &Place,
    caller: &Caller,
    door: &SourceDoor,
    log: &EventLog,
    body: Data<'_>,
) -> Result<Report, Problem> {
    let admit = |key: &str| {
        let admitted = door.admit(place.project, key, caller.remote);
        admitted.inspect_err(|_| log.clients().refused_key())
    };
    let early = caller.key.as_deref().map(admit).transpose()?;
    // Whoever shows no key yet has not earned much room.
    let limit = early.as_ref().map_or(MAX_PACKED_BYTES, |_| MAX_BODY_BYTES);
    let body = unpacked(body, caller.encoding.clone()?, limit).await?;
    let source = match early {
        Some(source) => source,
        None => admit(&key_of_envelope(place, &body).ok_or_else(no_key)?)?,
    };
    let arrival = Arrival {
        now: log.now(),
        source: source.as_ref().to_owned(),
        peer: caller.ip.map(|ip| ip.to_string()),
    };
    let (form, large) = (place.form, body.len() >= LARGE_BODY_BYTES);
    let read = move || match form {
        Form::Envelope => sentry::envelope(&body, &arrival),
        Form::Store => sentry::store(&body, &arrival),
    };
    if !large {
        return read().map_err(unusable);
    }
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|_| Problem::new(Code::Internal, "The report could not be read."))?
        .map_err(unusable)
}

async fn unpacked(body: Data<'_>, encoding: Encoding, limit: usize) -> Result<Vec<u8>, Problem> {
    let packed = match encoding {
        Encoding::Identity => limit,
        _ => MAX_PACKED_BYTES,
    };
    let body = read_body(body, packed as u64).await?;
    // Some older SDKs pack without a word; no JSON begins like zlib.
    let encoding = match encoding {
        Encoding::Identity if is_zlib(&body) => Encoding::Deflate,
        said => said,
    };
    decoded(encoding, body, limit).await
}

/// The key of an envelope that came through a tunnel, which can't show it anywhere else.
fn key_of_envelope(place: &Place, body: &[u8]) -> Option<String> {
    if place.form != Form::Envelope {
        return None;
    }
    let dsn = Dsn::parse(&sentry::dsn_of_envelope(body)?)?;
    (dsn.project == place.project).then_some(dsn.key)
}

fn no_key() -> Problem {
    let detail = "The request shows no key: send X-Sentry-Auth, ?sentry_key=, or the dsn in the envelope's header.";
    Problem::new(Code::Forbidden, detail)
}

fn unusable(why: Unusable) -> Problem {
    match why {
        Unusable::Malformed(detail) => Problem::new(Code::InvalidRequest, format!("{detail}.")),
        Unusable::TooLarge(detail) => Problem::new(Code::PayloadTooLarge, format!("{detail}.")),
    }
}
