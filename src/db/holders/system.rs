//! Linux's list of file locks (floor 1, pure): `/proc/locks` read as far as SQLite's locks need it.
//!
//! What must stay true: a line that isn't understood is skipped, never guessed at; one who only waits for a lock is
//! not its holder. Formats: proc_locks(5); the byte offsets are those of SQLite's `os_unix.c` and `wal.c`.
//! Called by [`super::Holders`].

use super::Lock;

/// A file as the list names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileNumber {
    /// Major and minor device number.
    pub device: (u32, u32),
    /// Inode.
    pub inode: u64,
}

/// One lock that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The holder; `None` for a lock that belongs to an open file description, or to a process that can't be seen.
    pub pid: Option<u32>,
    /// Whether it keeps everybody else out, rather than only those who want to.
    pub exclusive: bool,
    /// On which file.
    pub file: FileNumber,
    /// First byte.
    pub first: u64,
    /// Last byte, included.
    pub last: u64,
}

/// The POSIX and open-file-description locks in the list. `flock` and leases are none of SQLite's.
pub fn entries(list: &str) -> impl Iterator<Item = Entry> {
    list.lines().filter_map(entry)
}

fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.strip_suffix(':')?;
    // A waiter's line has `->` here.
    if !matches!(words.next()?, "POSIX" | "OFDLCK") {
        return None;
    }
    let _advisory = words.next()?;
    let exclusive = match words.next()? {
        "WRITE" | "RW" => true,
        "READ" => false,
        _ => return None,
    };
    let pid = words.next()?.parse::<i64>().ok()?;
    let file = file_number(words.next()?)?;
    let first = words.next()?.parse().ok()?;
    let last = match words.next()? {
        "EOF" => u64::MAX,
        number => number.parse().ok()?,
    };
    Some(Entry {
        pid: u32::try_from(pid).ok().filter(|pid| *pid > 0),
        exclusive,
        file,
        first,
        last,
    })
}

/// `fe:00:10067996`: device numbers in hexadecimal, the inode in decimal.
fn file_number(word: &str) -> Option<FileNumber> {
    let mut parts = word.split(':');
    let mut hex = || u32::from_str_radix(parts.next()?, 16).ok();
    let device = (hex()?, hex()?);
    let inode = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(FileNumber { device, inode })
}

// SQLite's locks on the -shm file, one byte each.
const WAL_WRITE: u64 = 120;
const WAL_CHECKPOINT: u64 = 121;
const WAL_RECOVER: u64 = 122;
const WAL_READ: (u64, u64) = (123, 127);
// SQLite's locks on the database file; SHARED is a range, and every connection in WAL mode has it for reading.
const PENDING: u64 = 0x4000_0000;
const RESERVED: u64 = PENDING + 1;
const SHARED: (u64, u64) = (PENDING + 2, PENDING + 511);

impl Entry {
    fn touches(&self, (first, last): (u64, u64)) -> bool {
        self.first <= last && self.last >= first
    }

    fn has(&self, byte: u64) -> bool {
        self.touches((byte, byte))
    }

    /// SQLite's locks that this one on the `-shm` file is. The kernel joins neighbours, so it may be several.
    pub fn on_shared_memory(&self) -> Vec<Lock> {
        if !self.exclusive {
            return if self.touches(WAL_READ) {
                vec![Lock::Read]
            } else {
                vec![]
            };
        }
        let checkpoints = self.has(WAL_CHECKPOINT) || self.touches(WAL_READ);
        let held = [
            (self.has(WAL_RECOVER), Lock::Recovery),
            (self.has(WAL_WRITE), Lock::Write),
            (checkpoints, Lock::Checkpoint),
        ];
        held.into_iter().filter_map(|(has, lock)| has.then_some(lock)).collect()
    }

    /// SQLite's locks that this one on the database file is.
    pub fn on_database(&self) -> Vec<Lock> {
        let held = [
            (self.has(PENDING) || self.touches(SHARED), Lock::Exclusive),
            (self.has(RESERVED), Lock::Write),
        ];
        let held = held.into_iter().filter(|(has, _)| self.exclusive && *has);
        held.map(|(_, lock)| lock).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded, with names and numbers changed, and lines added that kernels are known to print.
    const LIST: &str = "\
1: POSIX  ADVISORY  WRITE 20662 fe:00:10067996 120 120
2: POSIX  ADVISORY  READ 20662 fe:00:10067996 124 124
3: POSIX  ADVISORY  READ 20662 fe:00:10067996 128 128
4: POSIX  ADVISORY  READ 20662 fe:00:10067990 1073741826 1073742335
5: FLOCK  ADVISORY  WRITE 13653 fe:00:11133032 0 EOF
6: OFDLCK ADVISORY  WRITE -1 fe:00:10067996 121 121
7: -> POSIX  ADVISORY  WRITE 77 fe:00:10067996 120 120
8: LEASE  ACTIVE    READ 3 08:01:12 0 EOF
9: POSIX  ADVISORY  WRITE 0 103:1f:7 0 EOF
10: POSIX  *NOINODE* UNKNOWN 5 <none>:0 0 EOF
11: POSIX  ADVISORY  WRITE 4
nonsense

";

    #[test]
    fn holders_are_read_and_everything_else_is_skipped() {
        let read: Vec<_> = entries(LIST).collect();
        assert_eq!(read.len(), 6, "{read:?}");
        let shm = FileNumber {
            device: (0xfe, 0),
            inode: 10_067_996,
        };
        let written = Entry {
            pid: Some(20662),
            exclusive: true,
            file: shm,
            first: 120,
            last: 120,
        };
        assert_eq!(read[0], written);
        assert_eq!((read[4].pid, read[4].file), (None, shm));
        assert_eq!((read[5].pid, read[5].last), (None, u64::MAX));
        assert_eq!(read[5].file.device, (0x103, 0x1f));
    }

    #[test]
    fn bytes_are_sqlites_locks() {
        let read: Vec<_> = entries(LIST).collect();
        assert_eq!(read[0].on_shared_memory(), [Lock::Write]);
        assert_eq!(read[1].on_shared_memory(), [Lock::Read]);
        assert_eq!(read[2].on_shared_memory(), [], "everybody has it");
        assert_eq!(read[3].on_database(), [], "everybody has it");
        assert_eq!(read[4].on_shared_memory(), [Lock::Checkpoint]);
        let recovery = Entry {
            first: 120,
            last: 127,
            ..read[0]
        };
        assert_eq!(
            recovery.on_shared_memory(),
            [Lock::Recovery, Lock::Write, Lock::Checkpoint]
        );
        let exclusive = Entry {
            first: PENDING,
            last: SHARED.1,
            ..read[0]
        };
        assert_eq!(exclusive.on_database(), [Lock::Exclusive, Lock::Write]);
    }
}
