//! One instance a data folder (floor 7): a lock that the operating system releases when the process ends.
//!
//! What must stay true: the second instance is refused before it touches anything, and is told the first one's pid. The
//! lock's file holds the pid and, once the instance listens, where: a command finds a running server by it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

const LOCK: &str = "mainstay.lock";

/// The claim; the lock lasts as long as it lives.
pub struct Instance {
    lock: File,
    /// The folder itself is locked too, because the lock file can be deleted; `None` where folders can't be locked.
    _folder: Option<File>,
}

/// Why the folder can't be claimed.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Somebody else has it.
    #[error(
        "another instance (pid {pid}) uses the data folder {folder}; stop it, or set MAINSTAY_DATA_DIR to another folder"
    )]
    Taken {
        /// The other's process id.
        pid: String,
        /// The folder.
        folder: String,
    },
    /// The folder can't be used.
    #[error("the data folder {folder} can't be used: {source}; check MAINSTAY_DATA_DIR and its permissions")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Instance {
    /// Makes the folder where it is missing, for its owner only, and claims it.
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn claim(folder: &Path) -> Result<Self, InstanceError> {
        let shown = || folder.display().to_string();
        let failed = |source| InstanceError::Folder {
            folder: shown(),
            source,
        };
        make_private(folder).map_err(failed)?;
        let folder_lock = match lock_folder(folder) {
            Some(Ok(lock)) => Some(lock),
            Some(Err(())) => {
                let pid = running_instance(folder).map_or_else(|| "unknown".to_owned(), |running| running.pid);
                return Err(InstanceError::Taken { pid, folder: shown() });
            }
            None => None,
        };
        let path = folder.join(LOCK);
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = noted_in(&mut lock).pid;
                return Err(InstanceError::Taken { pid, folder: shown() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        note(&lock, "");
        Ok(Self {
            lock,
            _folder: folder_lock,
        })
    }

    /// Notes where the instance listens, as `http://127.0.0.1:3000`.
    pub fn listens_on(&self, url: &str) {
        note(&self.lock, url);
    }
}

/// What this process makes from now on is for its owner alone: databases, logs, spool.
pub(super) fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// The pid, and where it listens. Both are for others; a full disk must not keep the service from starting.
fn note(mut lock: &File, url: &str) {
    let text = format!("{}\n{url}\n", std::process::id());
    let written = lock
        .set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| lock.write_all(text.as_bytes()));
    if let Err(error) = written {
        eprintln!("mainstay: the pid could not be noted in mainstay.lock: {error}");
    }
}

/// The lock on the folder itself, `Err` when somebody else has it, `None` where the system doesn't lock folders.
fn lock_folder(folder: &Path) -> Option<Result<File, ()>> {
    let lock = File::open(folder).ok()?;
    match lock.try_lock() {
        Ok(()) => Some(Ok(lock)),
        Err(TryLockError::WouldBlock) => Some(Err(())),
        Err(TryLockError::Error(_)) => None,
    }
}

/// An instance that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its process id, or "unknown".
    pub pid: String,
    /// Where it listens, as `http://127.0.0.1:3000`; `None` while it doesn't, and where that can't be read.
    pub url: Option<String>,
}

/// The instance that has the folder, if one has; changes nothing. Two that look at once don't take each other for it. What
/// it says of an instance that has just begun may be what the one before it left.
pub fn running_instance(folder: &Path) -> Option<Running> {
    let opened = OpenOptions::new().read(true).write(true).open(folder.join(LOCK));
    if let Ok(mut lock) = opened
        && let Err(TryLockError::WouldBlock) = lock.try_lock_shared()
    {
        return Some(noted_in(&mut lock));
    }
    let unknown = || Running {
        pid: "unknown".to_owned(),
        url: None,
    };
    let looked_at = File::open(folder).map(|folder| folder.try_lock_shared());
    matches!(looked_at, Ok(Err(TryLockError::WouldBlock))).then(unknown)
}

fn noted_in(lock: &mut File) -> Running {
    let mut noted = String::new();
    // Unreadable means unknown; that somebody has the lock stands either way.
    let _ = lock.read_to_string(&mut noted);
    let mut lines = noted
        .lines()
        .map(|line| Some(line.trim().to_owned()).filter(|line| !line.is_empty()));
    Running {
        pid: lines.next().flatten().unwrap_or_else(|| "unknown".to_owned()),
        url: lines.next().flatten(),
    }
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_claim_is_refused_with_the_firsts_pid_until_the_first_ends() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let first = Instance::claim(&data).expect("claimed");
        let refused = Instance::claim(&data).err().expect("refused").to_string();
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        let running = running_instance(&data).expect("it runs");
        assert_eq!((running.pid, running.url), (std::process::id().to_string(), None));
        first.listens_on("http://127.0.0.1:3000");
        let url = running_instance(&data).expect("it runs").url;
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:3000"));
        // Deleting the lock file lets nobody in.
        std::fs::remove_file(data.join(LOCK)).expect("removed");
        let refused = Instance::claim(&data).err().expect("refused").to_string();
        assert!(refused.contains("pid unknown"), "{refused}");
        drop(first);
        assert_eq!(running_instance(&data), None);
        Instance::claim(&data).expect("free again");
    }
}
