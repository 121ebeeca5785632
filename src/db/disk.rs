//! Room on the file system (floor 1): what is free where a file lies, by `statvfs` alone.
//!
//! What must stay true: nothing is opened, so that no lock of SQLite's is dropped; a file system without an inode table
//! is not taken for one that has run out of inodes. Called by the watch, the reserve, and monitoring.

use std::path::Path;

/// Less than this is a reason to worry, on a small disk less than a tenth of it.
const LITTLE_BYTES: u64 = 256 << 20;
const FEW_INODES: u64 = 1000;
const SMALL_SHARE: u64 = 10;

/// What is free for us on a file system, and of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an ordinary user may still fill.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Files that can still be made; `None` where the file system keeps no count of them (btrfs, for one).
    pub free_inodes: Option<u64>,
    /// Files in all; 0 where there is no count.
    pub total_inodes: u64,
}

impl Space {
    /// The file system that holds `path`; `None` when the system doesn't say.
    pub fn of(path: &Path) -> Option<Self> {
        #[cfg(test)]
        if let Some(space) = super::simulation::space(path) {
            return Some(space);
        }
        let stat = rustix::fs::statvfs(path).ok()?;
        Some(Self {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_inodes: (stat.f_files > 0).then_some(stat.f_favail),
            total_inodes: stat.f_files,
        })
    }

    /// Less than this is a reason to worry.
    pub fn little_bytes(&self) -> u64 {
        LITTLE_BYTES.min(self.total_bytes / SMALL_SHARE)
    }

    /// What runs short, in words; empty while nothing does.
    pub fn shortages(&self) -> Vec<String> {
        let mut short = Vec::new();
        if self.free_bytes < self.little_bytes() {
            short.push(format!("{} MiB free", self.free_bytes >> 20));
        }
        match self.free_inodes {
            Some(0) => short.push("no inodes free: no file can be made, the spool's and the log's included".to_owned()),
            Some(free) if free < FEW_INODES.min(self.total_inodes / SMALL_SHARE) => {
                short.push(format!("{free} inodes free: soon no file can be made"));
            }
            _ => {}
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Space = Space {
        free_bytes: 10 << 30,
        total_bytes: 20 << 30,
        free_inodes: Some(100_000),
        total_inodes: 200_000,
    };

    #[test]
    fn a_folder_has_room_and_a_missing_one_has_no_answer() {
        assert!(Space::of(Path::new(".")).is_some_and(|space| space.total_bytes > 0));
        assert_eq!(Space::of(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn shortages_are_named_one_by_one() {
        assert_eq!(AMPLE.shortages(), Vec::<String>::new());
        let low = Space {
            free_bytes: 5 << 20,
            ..AMPLE
        };
        assert_eq!(low.shortages(), ["5 MiB free"]);
        let few = Space {
            free_inodes: Some(9),
            ..AMPLE
        };
        assert!(few.shortages()[0].starts_with("9 inodes free"));
        let none = Space {
            free_inodes: Some(0),
            ..AMPLE
        };
        assert!(none.shortages()[0].starts_with("no inodes free"));
    }

    #[test]
    fn a_file_system_without_an_inode_table_is_not_out_of_inodes() {
        let btrfs = Space {
            free_inodes: None,
            total_inodes: 0,
            ..AMPLE
        };
        assert!(btrfs.shortages().is_empty());
    }

    #[test]
    fn a_small_disk_is_judged_by_its_own_size() {
        let small = Space {
            free_bytes: 50 << 20,
            total_bytes: 64 << 20,
            free_inodes: Some(900),
            total_inodes: 1000,
        };
        assert!(small.shortages().is_empty());
    }
}
