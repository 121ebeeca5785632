//! What can be seen of a write-ahead log (floor 1, pure): its size, what was checkpointed, and who keeps it from
//! shrinking.
//!
//! What must stay true: a reader is named only where one was seen. Ours end at their operation's deadline; one that holds
//! its snapshot without running a statement can't be interrupted, and neither can another process: they are named. Made by the keeper (`checkpoint`), shown by statistics, health and alerts.

use std::time::Duration;

use super::active::ActiveOperation;
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
    /// How long the oldest snapshot has been held, another process's as long as it was seen; `None` without one.
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

/// A read of ours that is shorter than this isn't named beside a reader of another process.
const LONG_READ: Duration = Duration::from_secs(1);

/// Who reads: other processes by name, and our oldest operation with a snapshot, by its name and call site.
pub fn readers_in_words(holders: &[LockHolder], operations: &[ActiveOperation]) -> String {
    let others: Vec<_> = holders.iter().filter(is_foreign_reader).map(LockHolder::name).collect();
    let own = oldest_snapshot(operations).filter(|(_, held)| others.is_empty() || *held >= LONG_READ);
    let foreign = match others.len() {
        0 => None,
        count if count > NAMED => Some(format!(
            "a reader in {} and {} more",
            others[..NAMED].join(", "),
            count - NAMED
        )),
        _ => Some(format!("a reader in {}", others.join(", "))),
    };
    let own = own.map(|(operation, held)| {
        format!(
            "{} of this process (at {}, for {:.1} s)",
            operation.operation,
            operation.call_site,
            held.as_secs_f64()
        )
    });
    let named: Vec<_> = foreign.into_iter().chain(own).collect();
    match named.is_empty() {
        true => "a reader".to_owned(),
        false => named.join(", and "),
    }
}

fn is_foreign_reader(holder: &&LockHolder) -> bool {
    holder.lock == Lock::Read && !holder.ours
}

fn oldest_snapshot(operations: &[ActiveOperation]) -> Option<(&ActiveOperation, Duration)> {
    let snapshots = operations.iter().filter(|operation| operation.snapshot);
    let held = snapshots.filter_map(|operation| Some((operation, operation.held?)));
    held.max_by_key(|(_, held)| *held)
}

/// How long the oldest snapshot has been held: another process's as long as it was seen, ours exactly.
pub fn oldest_read(holders: &[LockHolder], operations: &[ActiveOperation]) -> Option<Duration> {
    let foreign = holders
        .iter()
        .filter(is_foreign_reader)
        .map(|h| Duration::from_millis(h.held_ms));
    foreign.chain(oldest_snapshot(operations).map(|(_, held)| held)).max()
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

    fn operation(held: Duration) -> ActiveOperation {
        ActiveOperation {
            id: "1-1".parse().expect("an id"),
            operation: "documents.list",
            writes: false,
            phase: crate::db::Phase::Running,
            call_site: "src/a.rs:7".into(),
            age: held,
            held: Some(held),
            snapshot: true,
            stopping: false,
            leak_suspected: false,
            request_id: None,
        }
    }

    #[test]
    fn others_are_named_and_ours_is_ours() {
        assert_eq!(readers_in_words(&[reader(1, true)], &[]), "a reader");
        let own = "documents.list of this process (at src/a.rs:7, for 2.0 s)";
        let (long, short) = ([operation(Duration::from_secs(2))], [operation(Duration::ZERO)]);
        assert_eq!(readers_in_words(&[], &long), own);
        let both = [reader(1, true), reader(42, false)];
        assert_eq!(readers_in_words(&both, &short), "a reader in sqlite3 (pid 42)");
        assert_eq!(
            readers_in_words(&both, &long),
            format!("a reader in sqlite3 (pid 42), and {own}")
        );
        assert_eq!(oldest_read(&both, &short), Some(Duration::from_millis(42)));
        assert_eq!(oldest_read(&both, &long), Some(Duration::from_secs(2)));
        let many: Vec<_> = (1..=5).map(|pid| reader(pid, false)).collect();
        assert!(readers_in_words(&many, &[]).ends_with("sqlite3 (pid 3) and 2 more"));
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
