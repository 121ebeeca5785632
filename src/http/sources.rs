//! The door for sources of events (floor 5): a DSN's key is authority by itself, for reporting under its source's name.
//!
//! What must stay true: a wrong key is refused and counted by address, apart from the tries with tokens, so that a web
//! page with an outdated DSN locks nobody out; it is no event, because every visitor of that page would make one.

use std::net::IpAddr;
use std::sync::Arc;

use super::code::Code;
use super::problem::Problem;
use crate::access::{FailedAttempts, SourceStore};
use crate::clock::SharedClock;

/// Sources and failed tries; managed state.
pub struct SourceDoor {
    /// The sources.
    pub sources: SourceStore,
    /// Failed tries.
    pub attempts: FailedAttempts,
    /// Time.
    pub clock: SharedClock,
}

impl SourceDoor {
    /// The name of the source that this key speaks for.
    ///
    /// # Errors
    /// 403 for a key that isn't known, 429 with Retry-After for too many of them from one address.
    pub fn admit(&self, project: u32, key: &str, client: Option<IpAddr>) -> Result<Arc<str>, Problem> {
        if let Some(name) = self.sources.verify(project, key) {
            return Ok(name);
        }
        let client = client.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let failure = self.attempts.failed(client, self.clock.now());
        Err(match failure.blocked_seconds {
            Some(seconds) => {
                Problem::new(Code::RateLimited, "Too many wrong keys from this address.").with_retry_after(seconds)
            }
            None => Problem::new(
                Code::Forbidden,
                format!("The key of the DSN is not that of project {project}, or its source was revoked."),
            ),
        })
    }
}
