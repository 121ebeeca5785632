//! Where the events of a file go (floor 8): a running server, or events.db itself where none runs.
//!
//! What must stay true: what is told as taken is on disk; who began with a server stays with it, and waits for it while it
//! is restarted, because a folder that is taken meanwhile would keep it from starting.

use std::time::Duration;

use super::server::{self, Server};
use crate::app::{OfflineLog, StartError, running_instance};
use crate::clock::{Clock, SystemClock, epoch_ms};
use crate::config::Settings;
use crate::db::DbError;
use crate::events::parse::Exported;
use crate::events::retention::{Bounds, is_too_old};

/// When to try again if nothing better is known.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) too_old: u64,
    /// By the number within the batch, what is wrong with it.
    pub(super) rejected: Vec<(usize, String)>,
}

/// Why a batch wasn't taken. It may come again either way.
#[derive(Debug)]
pub(super) enum Failure {
    /// Time may help.
    Wait { why: String, after: Duration },
    /// Time doesn't help.
    Final(String),
}

/// Where events go.
pub(super) struct Target {
    settings: Settings,
    token: Option<String>,
    place: Place,
}

enum Place {
    /// Nothing was handed over yet.
    Undecided,
    Server(Server),
    Folder(OfflineLog),
}

impl Target {
    /// Decided with the first batch.
    pub(super) fn new(settings: Settings, token: Option<String>) -> Self {
        Self {
            settings,
            token,
            place: Place::Undecided,
        }
    }

    /// Hands a batch over.
    pub(super) fn take(&mut self, events: &[Exported]) -> Result<Taken, Failure> {
        if matches!(self.place, Place::Undecided) {
            self.place = self.decide()?;
        }
        match &self.place {
            Place::Server(server) => server.take(events),
            Place::Folder(log) => self.put(log, events),
            // What was decided is one of the others.
            Place::Undecided => Err(Failure::Final("there is no place for the events".to_owned())),
        }
    }

    fn decide(&mut self) -> Result<Place, Failure> {
        let folder = &self.settings.storage.data_dir;
        let Some(running) = running_instance(folder) else {
            return OfflineLog::open(&self.settings).map(Place::Folder).map_err(not_opened);
        };
        // Just after another import took the folder, its file still says where the server before it listened.
        if !running.url.as_deref().is_some_and(server::listens) {
            let why = format!("pid {} has the data folder and doesn't listen", running.pid);
            return Err(Failure::Wait { why, after: SOON });
        }
        Ok(Place::Server(Server::new(folder.clone(), self.token.take())))
    }

    fn put(&self, log: &OfflineLog, events: &[Exported]) -> Result<Taken, Failure> {
        let are_new = log.import(events.to_vec()).map_err(not_written)?;
        let cutoff_ms = Bounds::from(&self.settings.retention).cutoff_ms(epoch_ms(SystemClock.wall()));
        let mut taken = Taken::default();
        for (one, is_new) in events.iter().zip(are_new) {
            taken.accepted += u64::from(is_new);
            taken.duplicates += u64::from(!is_new);
            taken.too_old += u64::from(is_new && is_too_old(one.event.timestamp_ms, cutoff_ms));
        }
        Ok(taken)
    }
}

/// A server or another import may have come between the look and the claim.
fn not_opened(error: StartError) -> Failure {
    match error {
        StartError::Instance(crate::app::InstanceError::Taken { .. }) => Failure::Wait {
            why: error.to_string(),
            after: SOON,
        },
        _ => Failure::Final(error.to_string()),
    }
}

fn not_written(error: DbError) -> Failure {
    let why = format!("events.db doesn't take them: {error}");
    if error.is_retryable() || !error.nothing_done() {
        let after = error.retry_after.unwrap_or(SOON);
        return Failure::Wait { why, after };
    }
    Failure::Final(why)
}
