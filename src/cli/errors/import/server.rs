//! The import of a running server (floor 8): `POST /api/monitoring/errors/import` on this machine.
//!
//! What must stay true: it is the server of this data folder, found anew for each batch, because a restart may move it; no
//! proxy of the environment is asked.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::Response;

use super::batch::told;
use super::target::{Failure, SOON, Taken};
use crate::app::running_instance;
use crate::events::LoggedEvent;
use crate::events::parse::Exported;

const PATH: &str = "/api/monitoring/errors/import";
/// Longer than the server itself lets a call take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The server of a data folder.
pub(super) struct Server {
    folder: PathBuf,
    token: Option<String>,
    agent: Agent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    accepted: u64,
    duplicates: u64,
    too_old: u64,
    results: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Rejected {
    index: usize,
    errors: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    pointer: String,
    detail: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Problem {
    code: String,
    detail: String,
    retry_after: Option<u64>,
}

impl Server {
    /// Nothing is sent yet.
    pub(super) fn new(folder: PathBuf, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .proxy(None)
            .build();
        Self {
            folder,
            token,
            agent: config.into(),
        }
    }

    /// Hands a batch over.
    pub(super) fn take(&self, events: &[Exported]) -> Result<Taken, Failure> {
        let Some(url) = running_instance(&self.folder).and_then(|running| running.url) else {
            return Err(wait("the server has ended, or doesn't listen yet".to_owned(), None));
        };
        let mut request = self
            .agent
            .post(format!("{}{PATH}", base(&url)?))
            .header("Content-Type", "application/x-ndjson");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.send(&body(events)).map_err(no_answer)?;
        judge(answer)
    }
}

/// One event a line, as an export writes it.
fn body(events: &[Exported]) -> Vec<u8> {
    let mut body = Vec::new();
    for one in events {
        let logged = LoggedEvent {
            event: one.event.clone(),
            group_id: None,
            occurrences: one.occurrences,
            spooled: false,
        };
        // Strings, numbers and raw JSON that was valid when it was read always serialise.
        let _ = serde_json::to_writer(&mut body, &logged);
        body.push(b'\n');
    }
    body
}

/// Whether anybody listens at a server's address; one that isn't of this kind is taken at its word.
pub(super) fn listens(url: &str) -> bool {
    let place = base(url).ok().and_then(|url| url.strip_prefix("http://")?.parse().ok());
    place.is_none_or(|place: SocketAddr| TcpStream::connect_timeout(&place, SOON).is_ok())
}

/// Where it is reached from this machine.
fn base(url: &str) -> Result<String, Failure> {
    let Some(place) = url.strip_prefix("http://") else {
        let why = format!("the server serves {url} alone, and an import speaks no TLS: stop it and import without it");
        return Err(Failure::Final(why));
    };
    let anywhere = place
        .parse::<SocketAddr>()
        .ok()
        .filter(|address| address.ip().is_unspecified());
    Ok(anywhere.map_or_else(
        || url.to_owned(),
        |address| format!("http://{}:{}", Ipv4Addr::LOCALHOST, address.port()),
    ))
}

fn no_answer(error: ureq::Error) -> Failure {
    wait(format!("the server doesn't answer: {error}"), None)
}

fn wait(why: String, after: Option<Duration>) -> Failure {
    Failure::Wait {
        why,
        after: after.unwrap_or(SOON),
    }
}

fn judge(mut answer: Response<ureq::Body>) -> Result<Taken, Failure> {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().map_err(no_answer)?;
    if status == 200 {
        let understood = serde_json::from_str::<Answer>(&text);
        return understood
            .map(Taken::from)
            .map_err(|error| Failure::Final(format!("the server's answer is not understood: {error}")));
    }
    let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
    let mut why = format!("the server answers {status} {}: {}", problem.code, problem.detail);
    match status {
        408 | 429 | 502..=504 => Err(wait(why, problem.retry_after.map(Duration::from_secs))),
        401 | 403 => {
            why += " An import wants --token or MAINSTAY_TOKEN with the scope monitor:write";
            Err(Failure::Final(why))
        }
        _ => Err(Failure::Final(why)),
    }
}

impl From<Answer> for Taken {
    fn from(answer: Answer) -> Self {
        let named = |errors: &[Named]| told(errors.iter().map(|one| (&*one.pointer, &*one.detail)));
        let rejected = answer.results.iter().map(|one| (one.index, named(&one.errors)));
        Self {
            accepted: answer.accepted,
            duplicates: answer.duplicates,
            too_old: answer.too_old,
            rejected: rejected.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_any_is_reached_by_loopback() {
        let of = |url: &str| base(url).ok();
        assert_eq!(of("http://127.0.0.1:3000").as_deref(), Some("http://127.0.0.1:3000"));
        assert_eq!(of("http://[::1]:3000").as_deref(), Some("http://[::1]:3000"));
        assert_eq!(of("http://0.0.0.0:3000").as_deref(), Some("http://127.0.0.1:3000"));
        assert_eq!(of("http://[::]:80").as_deref(), Some("http://127.0.0.1:80"));
        assert!(matches!(base("https://127.0.0.1:3000"), Err(Failure::Final(why)) if why.contains("TLS")));
    }
}
