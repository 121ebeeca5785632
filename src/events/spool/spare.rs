//! A segment held back for a full disk (floor 2): room that is ours before it is needed. Blocking; only the shelf calls it.
//!
//! What must stay true: the file holds real blocks (`fallocate` beyond its end, so that it grows into them by appending),
//! as many as a segment usually has; it is made only where ample room is left beside it; it becomes a segment by being
//! renamed, which takes neither a block nor an inode.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::fs::{FallocateFlags, fallocate};

use crate::db::disk::Space;

/// The spare segment.
pub(super) struct Spare {
    path: PathBuf,
    bytes: u64,
    is_there: bool,
}

impl Spare {
    /// In this folder, of this size; made at once where there is room.
    pub(super) fn in_folder(folder: &Path, bytes: u64) -> Self {
        let mut spare = Self {
            // Not a number: what scans for segments passes it by.
            path: folder.join("spare.segment"),
            bytes,
            is_there: false,
        };
        spare.make();
        spare
    }

    /// Makes it if it isn't there. Where it can't be made the spool works without: it is tried again with the next segment.
    pub(super) fn make(&mut self) {
        // It goes with its folder, where somebody removes that.
        if !self.is_there || !self.path.exists() {
            self.is_there = self
                .allocate()
                .inspect_err(|_| drop(fs::remove_file(&self.path)))
                .is_ok();
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let room = Space::of(folder).map_or(0, |space| space.free_bytes);
        // What an earlier process left is truncated below: its blocks are free then.
        if room < 2 * self.bytes && !self.path.exists() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        if file.metadata()?.len() > 0 {
            file.set_len(0)?;
        }
        hold_back(&file, self.bytes)
    }

    /// Bytes held back now.
    pub(super) fn bytes(&self) -> u64 {
        if self.is_there { self.bytes } else { 0 }
    }

    /// Gives it the name of a segment; `false` when there is none.
    pub(super) fn become_segment(&mut self, path: &Path) -> bool {
        std::mem::take(&mut self.is_there) && fs::rename(&self.path, path).is_ok()
    }
}

/// Gives a file blocks beyond its end, which not every system can.
#[cfg(target_os = "linux")]
fn hold_back(file: &File, bytes: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes)?)
}

#[cfg(not(target_os = "linux"))]
fn hold_back(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_holds_real_blocks_and_grows_into_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut spare = Spare::in_folder(folder.path(), 1 << 20);
        let segment = folder.path().join("00000001.spool");
        assert_eq!(spare.bytes(), 1 << 20);
        // An earlier process left it.
        assert_eq!(Spare::in_folder(folder.path(), 1 << 20).bytes(), 1 << 20);
        assert!(spare.become_segment(&segment) && !spare.become_segment(&segment));
        let blocks = |path: &Path| {
            fs::metadata(path)
                .map(|meta| (meta.len(), meta.blocks() * 512))
                .unwrap()
        };
        assert!(
            blocks(&segment).0 == 0 && blocks(&segment).1 >= 1 << 20,
            "{:?}",
            blocks(&segment)
        );
        let before = blocks(&segment).1;
        let mut file = OpenOptions::new().append(true).open(&segment).unwrap();
        file.write_all(&vec![7; 1 << 19]).unwrap();
        file.sync_all().unwrap();
        assert_eq!(blocks(&segment), (1 << 19, before), "no block was taken");
        spare.make();
        assert_eq!(spare.bytes(), 1 << 20, "and another one is made");
    }

    #[test]
    fn where_there_is_no_room_for_it_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let spare = Spare::in_folder(folder.path(), 1 << 60);
        assert_eq!((spare.bytes(), fs::read_dir(folder.path()).unwrap().count()), (0, 0));
    }
}
