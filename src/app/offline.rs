//! The event log while no server runs (floor 7): for a command that puts events straight into the data folder.
//!
//! What must stay true: the folder is claimed as a server would claim it, so that neither meets the other; what was
//! answered is on disk, whatever ends the process. Made by `cli`.

use std::path::Path;
use std::time::Duration;

use rocket::tokio::runtime::Runtime;

use super::instance::{Instance, InstanceError, keep_files_private};
use super::{StartError, databases};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::db::{Database, DbError};
use crate::events::Importer;
use crate::events::parse::Exported;

/// For the last commit and checkpoint.
const CLOSE: Duration = Duration::from_secs(5);

/// events.db, opened for this process alone.
pub struct OfflineLog {
    runtime: Runtime,
    importer: Importer,
    database: Database,
    /// Keeps a server away from the data folder.
    _instance: Instance,
}

impl OfflineLog {
    /// Claims the data folder and opens events.db, which is made where it is missing.
    ///
    /// # Errors
    /// Another instance has the folder, or the file can't be used.
    pub fn open(settings: &Settings) -> Result<Self, StartError> {
        keep_files_private();
        let folder = &settings.storage.data_dir;
        let instance = Instance::claim(folder)?;
        let runtime = Runtime::new().map_err(|source| no_runtime(folder, source))?;
        let entered = runtime.enter();
        let database = databases::open_events(settings, SystemClock::shared())?;
        let importer = Importer::new(database.clone(), &settings.database.operation);
        drop(entered);
        Ok(Self {
            runtime,
            importer,
            database,
            _instance: instance,
        })
    }

    /// Takes events in; for each whether it is new. Up to 256 are taken in together or not at all.
    ///
    /// # Errors
    /// events.db didn't take all of them; those that it took are known when they are sent again.
    pub fn import(&self, events: Vec<Exported>) -> Result<Vec<bool>, DbError> {
        self.runtime.block_on(self.importer.import(events))
    }
}

impl Drop for OfflineLog {
    fn drop(&mut self) {
        self.database.close(CLOSE);
    }
}

fn no_runtime(folder: &Path, source: std::io::Error) -> StartError {
    let folder = folder.display().to_string();
    StartError::Instance(InstanceError::Folder { folder, source })
}
