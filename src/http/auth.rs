//! Who may do what, at the door (floor 5): `Needs<Scope>` guards each route.
//!
//! What must stay true: every doubt refuses; a handler with `Needs<DataRead>` or `Needs<DataWrite>` is reached only
//! with a token that covers the collection in the path; a cookie never authorises a change that another site's page
//! asked for; failed tries are limited and become events; nothing here touches a database.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rocket::http::Method;
use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::Problem;
use super::trace::{event_context, refuse};
use crate::access::{Approach, FailedAttempts, Grant, Scope, TokenStore, is_forwarding_header, judge};
use crate::clock::SharedClock;
use crate::events::{Capture, NewEvent};

/// The dashboard's cookie.
pub const SESSION_COOKIE: &str = "mainstay_session";
const ATTEMPTS_WINDOW: Duration = Duration::from_secs(60);

/// Tokens, failed tries and whether open local use may be possible; managed state.
pub struct Door {
    /// The tokens.
    pub tokens: TokenStore,
    /// Failed tries.
    pub attempts: FailedAttempts,
    /// Whether the server listens on loopback only.
    pub listens_on_loopback: bool,
    /// Where failed tries are recorded.
    pub capture: Capture,
    /// Time.
    pub clock: SharedClock,
}

/// A scope a route may ask for.
pub trait Wanted: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Wanted for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )*};
}

scopes!(
    /// `monitor:read`.
    MonitorRead,
    /// `monitor:write`.
    MonitorWrite,
    /// `ingest`.
    Ingest,
    /// `data:read`.
    DataRead,
    /// `data:write`.
    DataWrite,
    /// `admin`.
    Admin
);

/// The caller may do what scope `S` stands for.
pub struct Needs<S>(PhantomData<S>);

#[rocket::async_trait]
impl<'r, S: Wanted> FromRequest<'r> for Needs<S> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        match authorize(request, S::SCOPE) {
            Ok(()) => Outcome::Success(Self(PhantomData)),
            Err(problem) => refuse(request, problem),
        }
    }
}

/// Who the caller is: the token's name, else its public id; `local` in open local use. [`Needs`] is what refuses.
pub struct Actor(pub String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Actor {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let token = token_of(request).ok().flatten();
        let door = request.rocket().state::<Door>().filter(|door| !door.is_open());
        let grant = door.and_then(|door| door.tokens.verify(token?).ok());
        let name = |grant: Arc<Grant>| grant.name.clone().unwrap_or_else(|| grant.token_id.clone());
        Outcome::Success(Self(grant.map_or_else(|| "local".to_owned(), name)))
    }
}

/// Whether the caller has authority to see details; never refuses and never counts as a failed try.
pub struct MayMonitor(pub bool);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MayMonitor {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let Some(door) = request.rocket().state::<Door>() else {
            return Outcome::Success(Self(false));
        };
        let may = if door.is_open() {
            judge_locally(request).is_ok()
        } else {
            let token = token_of(request).ok().flatten();
            token
                .and_then(|t| door.tokens.verify(t).ok())
                .is_some_and(|g| g.allows(Scope::MonitorRead, None))
        };
        Outcome::Success(Self(may))
    }
}

/// The caller's right to go on reading a stream, which outlives the look at its beginning.
pub struct Standing(Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Standing {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        Outcome::Success(Self(token_of(request).ok().flatten().map(str::to_owned)))
    }
}

impl Standing {
    /// Whether the token is still good for `scope`, or local use still open.
    pub fn holds(&self, door: &Door, scope: Scope) -> bool {
        let token = self.0.as_deref();
        door.is_open() || token.is_some_and(|t| door.tokens.verify(t).is_ok_and(|grant| grant.allows(scope, None)))
    }
}

impl Door {
    /// Whether open local use is possible at all.
    pub fn is_open(&self) -> bool {
        self.listens_on_loopback && self.tokens.is_empty()
    }

    /// Refuses to sign in where there is nothing to sign in to: no token exists, so none can be right.
    ///
    /// # Errors
    /// 403 for a request that open local use refuses, otherwise 401 that says how to make a token.
    pub fn refuse_while_open(&self, request: &Request<'_>) -> Result<(), Problem> {
        if !self.is_open() {
            return Ok(());
        }
        judge_locally(request)?;
        Err(unauthorized(
            "No token exists yet: local use is open. Make one with `mainstay token create`.",
        ))
    }

    /// Verifies a token, counting a failed try.
    ///
    /// # Errors
    /// 401, or 429 with Retry-After after too many tries.
    pub fn verify(&self, token: &str, request: &Request<'_>) -> Result<Arc<Grant>, Problem> {
        let refusal = match self.tokens.verify(token) {
            Ok(grant) => return Ok(grant),
            Err(refusal) => refusal,
        };
        let client = request
            .remote()
            .map_or(IpAddr::from([0, 0, 0, 0]), |remote| remote.ip());
        let failure = self.attempts.failed(client, self.clock.now());
        // A blocked client's further tries are not events: whoever guesses must not fill the log.
        let tries = failure
            .burst_began
            .or(failure.blocked_seconds.is_none().then_some(failure.client_tries));
        if let Some(tries) = tries {
            let burst = failure.burst_began.is_some();
            let event = NewEvent::auth_failures(tries, ATTEMPTS_WINDOW, burst, event_context(request));
            self.capture.capture(event);
        }
        Err(match failure.blocked_seconds {
            Some(seconds) => {
                Problem::new(Code::RateLimited, "Too many failed tries from this address.").with_retry_after(seconds)
            }
            None => unauthorized(&format!("The token was refused: {refusal}.")),
        })
    }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Code::Unauthorized, detail).with_header("WWW-Authenticate", "Bearer realm=\"mainstay\"")
}

/// The token the request carries, from its header or the dashboard's cookie.
fn token_of<'r>(request: &'r Request<'_>) -> Result<Option<&'r str>, Problem> {
    if let Some(header) = request.headers().get_one("Authorization") {
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return match token {
            Some((_, token)) => Ok(Some(token.trim())),
            None => Err(unauthorized("The Authorization header must be: Bearer TOKEN.")),
        };
    }
    let Some(cookie) = request.cookies().get(SESSION_COOKIE) else {
        return Ok(None);
    };
    if !matches!(request.method(), Method::Get | Method::Head | Method::Options) {
        refuse_foreign_page(request)?;
    }
    // The cookie jar lives as long as the request does.
    Ok(Some(cookie.value()))
}

/// A page of another site may neither use the dashboard's session nor begin one.
///
/// # Errors
/// 403.
pub fn refuse_foreign_page(request: &Request<'_>) -> Result<(), Problem> {
    if is_same_origin(request) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "A page of another site may not use the dashboard's session.",
    ))
}

fn is_same_origin(request: &Request<'_>) -> bool {
    let Some(origin) = request.headers().get_one("Origin") else {
        return true;
    };
    let host = request.host().map(ToString::to_string);
    let of_origin = origin.split_once("://").map(|(_, host)| host);
    of_origin.is_some() && of_origin == host.as_deref()
}

fn judge_locally(request: &Request<'_>) -> Result<(), Problem> {
    let headers = request.headers();
    let mut hosts: Vec<&str> = headers.get("Host").collect();
    let authority;
    if hosts.is_empty() {
        // HTTP/2 has no Host header; its authority stands in for it.
        authority = request.host().map(ToString::to_string);
        hosts.extend(authority.as_deref());
    }
    let origins: Vec<&str> = headers.get("Origin").collect();
    let forwarding = headers
        .iter()
        .find(|header| is_forwarding_header(header.name().as_str()));
    let remote = request.remote().map(|remote| remote.ip());
    let approach = Approach {
        hosts: &hosts,
        origins: &origins,
        fetch_site: headers.get_one("Sec-Fetch-Site"),
        forwarded_by: forwarding.as_ref().map(|header| header.name().as_str()),
        remote,
    };
    judge(&approach).map_err(|reason| Problem::new(Code::ProtectedMode, format!("{reason}.")))
}

/// The collection in `/api/data/{collection}`, which narrows what a token may do.
fn collection_of<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let mut segments = request.uri().path().segments();
    (segments.next() == Some("api") && segments.next() == Some("data"))
        .then(|| segments.next())
        .flatten()
}

fn authorize(request: &Request<'_>, scope: Scope) -> Result<(), Problem> {
    let Some(door) = request.rocket().state::<Door>() else {
        return Err(Problem::new(Code::Internal, "Access is not set up."));
    };
    if door.is_open() {
        return judge_locally(request);
    }
    let Some(token) = token_of(request)? else {
        return Err(unauthorized("Send a token: Authorization: Bearer TOKEN."));
    };
    let grant = door.verify(token, request)?;
    if grant.allows(scope, collection_of(request)) {
        return Ok(());
    }
    let narrowed = grant
        .collection
        .as_ref()
        .map_or_else(String::new, |c| format!(" (it is limited to collection {c})"));
    let detail = format!("This needs the scope {scope}, which the token does not give here{narrowed}.");
    Err(Problem::new(Code::Forbidden, detail))
}
