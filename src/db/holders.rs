//! Who holds the locks of a database file (floor 1), as far as the operating system tells, and for how long at least.
//!
//! What must stay true: the files are looked at with `stat` alone, because opening and closing one would drop SQLite's
//! own locks; a lock of this process is never called somebody else's; where nothing is known nobody is named; a time
//! is never longer than what was seen. On systems other than Linux nobody is known.
//! Called by the busy handler while it waits, by the keeper of the write-ahead log while that is written or pinned, and for the status.

mod holder;
mod system;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use self::holder::{Lock, LockHolder};
use self::system::{FileNumber, entries};
use crate::clock;

/// A look this recent is not repeated while somebody waits.
pub const OFTEN: Duration = Duration::from_millis(100);
/// A look this recent is not repeated when somebody gives up.
pub const AT_THE_END: Duration = Duration::from_millis(20);
/// Two looks further apart than this don't show that a lock was held in between.
const CONTINUOUS: Duration = Duration::from_millis(2500);
/// More of the system's list than this is not read.
#[cfg(target_os = "linux")]
const MOST_BYTES: u64 = 1 << 20;

/// A lock as it was seen.
#[derive(Debug, Clone)]
struct Held {
    pid: Option<u32>,
    command: Option<String>,
    lock: Lock,
    since: Instant,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    held: Vec<Held>,
    /// When attempts began to fail because the log was being recovered, and when the latest did.
    recovery: Option<(Instant, Instant)>,
}

/// The locks of one database, as last seen.
pub struct Holders {
    database: PathBuf,
    shared_memory: PathBuf,
    seen: Mutex<Seen>,
}

impl Holders {
    /// For the database at this path. Nothing is looked at yet.
    pub fn new(database: &Path) -> Self {
        let mut shared_memory = database.as_os_str().to_owned();
        shared_memory.push("-shm");
        Self {
            database: database.to_owned(),
            shared_memory: shared_memory.into(),
            seen: Mutex::default(),
        }
    }

    /// Looks, unless the last look is more recent than `recent`. Reads one file of the kernel's: some ten microseconds.
    pub fn look(&self, recent: Duration) {
        let now = clock::now();
        let mut seen = self.seen.lock();
        if seen.at.is_some_and(|at| now.saturating_duration_since(at) < recent) {
            return;
        }
        // Who locks a simulated file is in no list of the kernel's.
        #[cfg(test)]
        if super::simulation::is_running() {
            return;
        }
        let found = system_list().map_or_else(Vec::new, |list| self.found_in(&list));
        seen.take_in(found, now);
    }

    /// When it was last looked.
    #[cfg(test)]
    pub fn looked_at(&self) -> Option<Instant> {
        self.seen.lock().at
    }

    /// Who holds what in the system's list, each once.
    fn found_in(&self, list: &str) -> Vec<(Option<u32>, Lock)> {
        let (database, shared_memory) = (file_number(&self.database), file_number(&self.shared_memory));
        let ourselves = Some(std::process::id());
        let mut found = Vec::new();
        let entries: Vec<_> = entries(list).collect();
        // Some file systems give `stat` another device number than the kernel's list has. Our own locks tell which.
        let is = |one: FileNumber, file: Option<FileNumber>| {
            let Some(file) = file.filter(|file| file.inode == one.inode) else {
                return false;
            };
            file.device == one.device || entries.iter().any(|e| e.pid == ourselves && e.file == one)
        };
        for entry in &entries {
            let locks = if is(entry.file, shared_memory) {
                entry.on_shared_memory()
            } else if is(entry.file, database) {
                entry.on_database()
            } else {
                continue;
            };
            for lock in locks {
                if !found.contains(&(entry.pid, lock)) {
                    found.push((entry.pid, lock));
                }
            }
        }
        found
    }

    /// Somebody had to wait and then got the lock: until then it was not held without a break.
    pub fn was_free(&self) {
        self.seen.lock().held.retain(|held| !held.lock.blocks(true));
    }

    /// Everybody who was seen at the last look, ourselves included; the longest first.
    pub fn all(&self) -> Vec<LockHolder> {
        let (now, ourselves) = (clock::now(), Some(std::process::id()));
        let mut all: Vec<_> = self
            .seen
            .lock()
            .held
            .iter()
            .map(|held| held.shown(now, ourselves))
            .collect();
        all.sort_by_key(|holder| std::cmp::Reverse(holder.held_ms));
        all
    }

    /// Who keeps writing (or reading) waiting. Somebody else is named before ourselves: our own locks are short.
    pub fn in_the_way(&self, writing: bool) -> Option<LockHolder> {
        let mut blocking: Vec<_> = self.all().into_iter().filter(|h| h.lock.blocks(writing)).collect();
        blocking.sort_by_key(|holder| (holder.ours, holder.lock as u8));
        blocking.into_iter().next()
    }

    /// An attempt failed because the log is being recovered: by whom, if that is seen, and for how long attempts have
    /// failed so.
    pub fn recovering(&self) -> LockHolder {
        let now = clock::now();
        let seen = self.in_the_way(false).filter(|holder| holder.lock == Lock::Recovery);
        let mut state = self.seen.lock();
        let began = match state.recovery {
            Some((began, latest)) if now.saturating_duration_since(latest) < RECOVERY_GAP => began,
            _ => now,
        };
        state.recovery = Some((began, now));
        let failing_ms = now.saturating_duration_since(began).as_millis() as u64;
        let unseen = LockHolder {
            pid: None,
            command: None,
            ours: false,
            lock: Lock::Recovery,
            held_ms: 0,
        };
        let holder = seen.unwrap_or(unseen);
        LockHolder {
            held_ms: holder.held_ms.max(failing_ms),
            ..holder
        }
    }
}

/// Attempts that fail further apart than this, the longest wait between two included, are not one recovery.
const RECOVERY_GAP: Duration = Duration::from_secs(20);

impl Seen {
    /// What was seen before and is still there keeps its time.
    fn take_in(&mut self, found: Vec<(Option<u32>, Lock)>, now: Instant) {
        let continuous = self
            .at
            .is_some_and(|at| now.saturating_duration_since(at) <= CONTINUOUS);
        let before = std::mem::take(&mut self.held);
        let known = |pid, lock| {
            before
                .iter()
                .find(|held| continuous && held.pid == pid && held.lock == lock)
        };
        self.held = found
            .into_iter()
            .map(|(pid, lock)| {
                known(pid, lock).cloned().unwrap_or_else(|| Held {
                    pid,
                    command: pid.and_then(command_of),
                    lock,
                    since: now,
                })
            })
            .collect();
        self.at = Some(now);
    }
}

impl Held {
    fn shown(&self, now: Instant, ourselves: Option<u32>) -> LockHolder {
        LockHolder {
            pid: self.pid,
            command: self.command.clone(),
            ours: self.pid == ourselves,
            lock: self.lock,
            held_ms: now.saturating_duration_since(self.since).as_millis() as u64,
        }
    }
}

#[cfg(target_os = "linux")]
fn system_list() -> Option<String> {
    use std::io::Read;
    let mut list = String::new();
    let file = std::fs::File::open("/proc/locks").ok()?;
    file.take(MOST_BYTES).read_to_string(&mut list).ok()?;
    Some(list)
}

#[cfg(not(target_os = "linux"))]
fn system_list() -> Option<String> {
    None
}

#[cfg(unix)]
fn file_number(path: &Path) -> Option<FileNumber> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(FileNumber {
        device: (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev())),
        inode: meta.ino(),
    })
}

#[cfg(not(unix))]
fn file_number(_: &Path) -> Option<FileNumber> {
    None
}

/// A process's name as Linux keeps it. It is the process's own choice, so control characters are made visible.
fn command_of(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    let name: String = name.trim_end_matches('\n').chars().map(visible).collect();
    (!name.is_empty()).then_some(name)
}

fn visible(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests;
