//! What the layer asks of the system beside SQLite, answered by the simulated disk (floor 1, tests only).
//!
//! What must stay true: a path below [`ROOT`] is answered here alone, every other one not at all, so that the code under
//! test goes on to the system. Only what decides anything is simulated: which file is there, its size and changes, the
//! room on the disk, and the small files kept beside the database, which are replaced whole and at once.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, Inode};
use super::vfs::{ROOT, disk};
use crate::db::disk::Space;

/// What a simulated disk holds when nobody made it smaller.
const AMPLE_BYTES: u64 = 1 << 40;

fn ours(path: &Path) -> Option<(Rc<Disk>, &str)> {
    let name = path.to_str().filter(|name| name.starts_with(ROOT))?;
    Some((disk()?, name))
}

fn found(path: &Path) -> Option<Option<Rc<RefCell<Inode>>>> {
    ours(path).map(|(disk, name)| disk.find(name))
}

/// The identity of a simulated file; `None` for a path that is not one.
pub fn inode(path: &Path) -> Option<io::Result<u64>> {
    let found = found(path)?;
    Some(
        found
            .map(|file| file.borrow().number)
            .ok_or_else(|| io::ErrorKind::NotFound.into()),
    )
}

/// The content of a simulated file, empty when there is none; `None` for a path that is not one.
pub fn content(path: &Path) -> Option<Vec<u8>> {
    Some(
        found(path)?
            .map(|file| file.borrow().content.clone())
            .unwrap_or_default(),
    )
}

/// Length and time of the latest change, as `stat` tells them: no two changes have the same time.
pub fn stat(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    Some(found(path)?.map_or((0, None), |file| {
        let file = file.borrow();
        let changed = SystemTime::UNIX_EPOCH + Duration::from_millis(file.changes);
        (file.content.len() as u64, Some(changed))
    }))
}

/// What is free on the simulated disk.
pub fn space(path: &Path) -> Option<Space> {
    // The folder itself is a path of its own.
    let (disk, _) = ours(&path.join("any"))?;
    let total_bytes = match disk.faults.capacity.get() {
        0 => AMPLE_BYTES,
        capacity => capacity as u64,
    };
    Some(Space {
        free_bytes: total_bytes.saturating_sub(disk.used() as u64),
        total_bytes,
        free_inodes: None,
        total_inodes: 0,
    })
}

/// Holds back this much of the simulated disk; `false` for a path that isn't on it.
pub fn hold_back(path: &Path, bytes: u64) -> bool {
    let Some((disk, _)) = ours(path) else { return false };
    disk.held_back.set(bytes as usize);
    true
}

/// Puts a small file whole and durably in the place of an older one.
pub fn replace(path: &Path, bytes: impl FnOnce() -> serde_json::Result<Vec<u8>>) -> Option<io::Result<()>> {
    let (disk, name) = ours(path)?;
    Some(bytes().map_err(io::Error::from).and_then(|bytes| {
        if space(path).is_some_and(|space| space.free_bytes < bytes.len() as u64) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = disk.create(name);
        inode.borrow_mut().write(0, &bytes);
        inode.borrow_mut().sync();
        Ok(())
    }))
}

/// Removes a small file; `false` for a path that isn't simulated.
pub fn remove(path: &Path) -> bool {
    let Some((disk, name)) = ours(path) else { return false };
    disk.remove(name);
    true
}

/// Writes into a small file; what was written is durable once it was synced.
pub fn write(path: &Path, at: usize, bytes: &[u8]) -> Option<io::Result<()>> {
    let (disk, name) = ours(path)?;
    let inode = disk.find(name).unwrap_or_else(|| disk.create(name));
    inode.borrow_mut().write(at, bytes);
    Some(Ok(()))
}

/// Makes what was written into a small file durable.
pub fn sync(path: &Path) {
    if let Some(Some(file)) = found(path) {
        file.borrow_mut().sync();
    }
}
