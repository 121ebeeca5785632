//! The running server's view of a kept file (floor 2): in memory, and following the file.
//!
//! What must stay true: a file that breaks or vanishes while the server runs changes nothing: the last good records stay
//! in force. The file is looked at no more than once a second, by one caller, while the others go on with what is
//! known; that look is a `stat`, and the small file is read only when it changed. Used by the stores of `access`.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::kept::{Kept, KeptError, KeptFile};
use crate::clock::SharedClock;

/// A change of the file is noticed after this long at the latest, given that somebody asks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of the file from another: modification time, length, inode; `None` where there is no file.
type Mark = Option<(i64, i64, u64, u64)>;

struct Watch {
    next_look: Instant,
    mark: Mark,
}

/// What a file's records are made into, always that of its newest good state.
pub(super) struct Followed<R, T> {
    file: KeptFile<R>,
    make: fn(Vec<R>) -> T,
    clock: SharedClock,
    made: RwLock<Arc<T>>,
    watch: Mutex<Watch>,
}

impl<R: Kept, T> Followed<R, T> {
    /// Reads the file; no file is no records. Blocking.
    ///
    /// # Errors
    /// The file is there and can't be used.
    pub(super) fn open(file: KeptFile<R>, clock: SharedClock, make: fn(Vec<R>) -> T) -> Result<Self, KeptError> {
        let mark = mark(&file);
        let made = make(file.read()?.unwrap_or_default());
        let watch = Watch {
            next_look: clock.now() + LOOK_EVERY,
            mark,
        };
        Ok(Self {
            file,
            make,
            clock,
            made: RwLock::new(Arc::new(made)),
            watch: Mutex::new(watch),
        })
    }

    /// What is in force.
    pub(super) fn current(&self) -> Arc<T> {
        self.follow();
        Arc::clone(&self.made.read())
    }

    /// Looks whether the file has changed, at most once a second; never waits for another caller's look.
    fn follow(&self) {
        let Some(mut watch) = self.watch.try_lock() else { return };
        let now = self.clock.now();
        if now < watch.next_look {
            return;
        }
        watch.next_look = now + LOOK_EVERY;
        let seen = mark(&self.file);
        if seen == watch.mark {
            return;
        }
        // Remembered before reading: a change in between is then seen at the next look.
        watch.mark = seen;
        match self.file.read() {
            Ok(Some(records)) => {
                tracing::info!(
                    records = records.len(),
                    what = R::WHAT,
                    "a kept file has changed and was read again"
                );
                *self.made.write() = Arc::new((self.make)(records));
            }
            Ok(None) => tracing::error!(
                file = %self.file.path().display(),
                "a kept file has vanished; what it had stays in force until the server ends"
            ),
            Err(error) => {
                tracing::error!(%error, "a kept file can't be used; what it had before stays in force");
            }
        }
    }
}

fn mark<R: Kept>(file: &KeptFile<R>) -> Mark {
    let data = std::fs::metadata(file.path()).ok()?;
    Some((data.mtime(), data.mtime_nsec(), data.len(), data.ino()))
}
