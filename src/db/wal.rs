//! What can be seen of a write-ahead log (floor 1, pure): its size, what was checkpointed, and who keeps it from
//! shrinking.
//!
//! What must stay true: a reader is named only where one was seen; somebody else's is never cancelled, because it
//! can't be, and that is said. Made by the keeper (`checkpoint`), shown by statistics, health and alerts.

use std::time::Duration;

use super::checkpoint::CheckpointReport;
use super::connection::WAL_SIZE_LIMIT_BYTES;
use super::holders::{Lock, LockHolder};

/// Readers named in one sentence.
const NAMED: usize = 3;

/// The write-ahead log of a database.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WalStatus {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// The latest checkpoint, whoever asked for it.
    pub last: Option<CheckpointReport>,
    /// Checkpoints made since the start.
    pub checkpoints: u64,
    /// Checkpoints that failed since the start.
    pub failures: u64,
    /// Why the latest one failed; `None` when it didn't.
    pub last_error: Option<String>,
    /// For how long the oldest reader was seen; `None` when nobody reads what was seen to read.
    pub oldest_reader: Option<Duration>,
    /// Who reads a snapshot that keeps the latest checkpoint from its end; `None` when it came to its end.
    pub pinned_by: Option<String>,
}

impl WalStatus {
    /// What is wrong with it: it is too large and somebody keeps it so.
    pub fn problem(&self) -> Option<String> {
        let pinned_by = self.pinned_by.as_ref()?;
        let too_large = self.bytes > WAL_SIZE_LIMIT_BYTES.unsigned_abs();
        too_large.then(|| {
            format!(
                "the write-ahead log is {} MiB: {pinned_by} keeps it from shrinking",
                self.bytes >> 20
            )
        })
    }
}

/// Who reads: other processes by name; otherwise it can only be one of ours.
pub fn readers_in_words(holders: &[LockHolder]) -> String {
    let reads = |holder: &&LockHolder| holder.lock == Lock::Read;
    let others: Vec<_> = holders
        .iter()
        .filter(reads)
        .filter(|h| !h.ours)
        .map(LockHolder::name)
        .collect();
    let ours = holders.iter().filter(reads).any(|h| h.ours);
    match (others.len(), ours) {
        (0, true) => "a reader of this process".to_owned(),
        (0, false) => "a reader".to_owned(),
        (count, _) if count > NAMED => {
            format!("a reader in {} and {} more", others[..NAMED].join(", "), count - NAMED)
        }
        _ => format!("a reader in {}", others.join(", ")),
    }
}

/// How long the longest reader of another process was seen.
pub fn longest_read(holders: &[LockHolder]) -> Option<Duration> {
    let foreign = holders.iter().filter(|h| h.lock == Lock::Read && !h.ours);
    foreign.map(|h| Duration::from_millis(h.held_ms)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(pid: u32, ours: bool) -> LockHolder {
        LockHolder {
            pid: Some(pid),
            command: Some("sqlite3".into()),
            ours,
            lock: Lock::Read,
            held_ms: u64::from(pid),
        }
    }

    #[test]
    fn others_are_named_and_ours_is_ours() {
        assert_eq!(readers_in_words(&[]), "a reader");
        assert_eq!(readers_in_words(&[reader(1, true)]), "a reader of this process");
        let both = [reader(1, true), reader(42, false)];
        assert_eq!(readers_in_words(&both), "a reader in sqlite3 (pid 42)");
        assert_eq!(longest_read(&both), Some(Duration::from_millis(42)));
        let many: Vec<_> = (1..=5).map(|pid| reader(pid, false)).collect();
        assert!(readers_in_words(&many).ends_with("sqlite3 (pid 3) and 2 more"));
    }

    #[test]
    fn a_large_log_is_a_problem_only_while_somebody_keeps_it() {
        let mut log = WalStatus {
            bytes: 80 << 20,
            ..WalStatus::default()
        };
        assert_eq!(log.problem(), None);
        log.pinned_by = Some("a reader in sqlite3 (pid 42)".into());
        assert_eq!(
            log.problem().as_deref(),
            Some("the write-ahead log is 80 MiB: a reader in sqlite3 (pid 42) keeps it from shrinking")
        );
        log.bytes = 64 << 20;
        assert_eq!(log.problem(), None);
    }
}
