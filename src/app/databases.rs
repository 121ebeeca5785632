//! The two files (floor 7): where they lie, what schema they have, how they are opened and checked.

use std::path::Path;
use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::{DatabaseSettings, Settings};
use crate::db::{Database, Migration, Observer, OpenError, Options, Unobserved, inspect};
use crate::events::tail;
use crate::http::Databases;
use crate::{events, records};

/// `MSTA` and `MSTE`: what SQLite's application_id says of our files.
const APP_ID: i32 = 0x4D53_5441;
const EVENTS_ID: i32 = 0x4D53_5445;

struct File {
    name: &'static str,
    file_name: &'static str,
    application_id: i32,
    migrations: &'static [Migration],
    /// It is bounded, so that it shrinks again.
    gives_pages_back: bool,
}

const APP: File = File {
    name: "app",
    file_name: "app.db",
    application_id: APP_ID,
    migrations: records::MIGRATIONS,
    gives_pages_back: false,
};
const EVENTS: File = File {
    name: "events",
    file_name: "events.db",
    application_id: EVENTS_ID,
    migrations: events::MIGRATIONS,
    gives_pages_back: true,
};

impl File {
    fn options(&self, data_dir: &Path, settings: &DatabaseSettings) -> Options {
        Options {
            name: self.name,
            path: data_dir.join(self.file_name),
            application_id: self.application_id,
            migrations: self.migrations,
            settings: DatabaseSettings {
                gives_pages_back: self.gives_pages_back,
                ..settings.clone()
            },
        }
    }
}

/// Opens both files.
pub(super) async fn open(
    settings: &Settings,
    clock: &SharedClock,
    observer: Arc<dyn Observer>,
) -> Result<Databases, OpenError> {
    let options = [&APP, &EVENTS].map(|file| file.options(&settings.storage.data_dir, &settings.database));
    for file in [&APP, &EVENTS] {
        // Both are looked at before either is touched: a refused start changes nothing.
        inspect(
            &settings.storage.data_dir.join(file.file_name),
            file.application_id,
            file.migrations,
        )?;
    }
    let clock = Arc::clone(clock);
    let opened = rocket::tokio::task::spawn_blocking(move || {
        let [app, events] = options;
        let app = Database::open(app, Arc::clone(&clock), Arc::clone(&observer))?;
        let events = Database::open(events, clock, observer)?;
        Ok(Databases { app, events })
    });
    match opened.await {
        Ok(opened) => opened,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Opens events.db alone, for a program that doesn't serve. Blocking.
pub(super) fn open_events(settings: &Settings, clock: SharedClock) -> Result<Database, OpenError> {
    let options = EVENTS.options(&settings.storage.data_dir, &settings.database);
    inspect(&options.path, EVENTS.application_id, EVENTS.migrations)?;
    Database::open(options, clock, Arc::new(Unobserved))
}

/// What is to be done with an events.db that lacks acknowledged commits, before anything is stored in it.
pub(super) async fn after_gap(events: &Database, waiting: u64) {
    if let Err(error) = tail::rename(events).await {
        tracing::warn!(%error, "readers of the live tail can't be told that events.db is an older copy");
    }
    tracing::info!(
        waiting,
        "commits of events.db are missing: what the spool still has of them is replayed again"
    );
}

/// Looks at both files without changing them: what is there, or what is wrong.
pub fn check_databases(settings: &Settings) -> Vec<(&'static str, Result<String, String>)> {
    let look = |file: &File| {
        let path = settings.storage.data_dir.join(file.file_name);
        let found = inspect(&path, file.application_id, file.migrations).map_err(|error| error.to_string());
        (file.file_name, found)
    };
    vec![look(&APP), look(&EVENTS)]
}
