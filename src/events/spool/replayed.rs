//! Segments whose events are in events.db, as far as its write-ahead log can be trusted (floor 2). Blocking; only the
//! shelf calls it.
//!
//! A commit lies in the log until a checkpoint; a log that rots before the next start loses it, though the events were
//! safe in the spool a moment ago. What must stay true: a replayed segment stays until the log that took its last commit
//! was begun anew, which SQLite does only when all of it is in the database file and synced; it counts for no event,
//! and gives way to every event that needs its room, the oldest first. Replaying one again is harmless: ids are unique.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::db::LogGeneration;

struct One {
    number: u64,
    bytes: u64,
    /// The log that holds its commits, or an earlier one; `None` when that wasn't known.
    in_log: Option<LogGeneration>,
}

/// All of them, the oldest first.
pub(super) struct Replayed {
    folder: PathBuf,
    all: VecDeque<One>,
}

impl Replayed {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            all: VecDeque::new(),
        }
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.replayed"))
    }

    /// One that an earlier process left; all of its commits are in events.db, in the log or not.
    pub(super) fn adopt(&mut self, number: u64) {
        if let Ok(meta) = fs::metadata(self.path(number)) {
            let (bytes, in_log) = (meta.len(), None);
            self.all.push_back(One { number, bytes, in_log });
        }
    }

    /// Takes over a segment's file.
    pub(super) fn keep(
        &mut self,
        file: &Path,
        number: u64,
        bytes: u64,
        in_log: Option<LogGeneration>,
    ) -> io::Result<()> {
        fs::rename(file, self.path(number))?;
        self.all.push_back(One { number, bytes, in_log });
        Ok(())
    }

    /// Removes those whose commits left the log: it is another one now, or empty.
    pub(super) fn let_go(&mut self, now: LogGeneration) {
        let mut kept = std::mem::take(&mut self.all);
        kept.retain_mut(|one| {
            // Where it wasn't known, this is the first that is.
            let stays = !now.is_empty() && *one.in_log.get_or_insert(now) == now;
            stays || fs::remove_file(self.path(one.number)).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
        });
        self.all = kept;
    }

    /// Removes the oldest until so many bytes are free; whether any went.
    pub(super) fn give_way(&mut self, bytes: u64) -> bool {
        let mut freed = 0;
        while freed < bytes
            && let Some(one) = self.all.pop_front()
        {
            if fs::remove_file(self.path(one.number)).is_ok() {
                freed += one.bytes;
            }
        }
        freed > 0
    }

    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|one| one.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PLENTY, append, event, files, read_all};
    use super::super::*;

    /// Replays the only segment; its commits are in this log.
    async fn replay(spool: &Spool, in_log: Option<LogGeneration>) -> usize {
        let chunk = spool.read(None, 1000).await.unwrap();
        assert!(chunk.end);
        spool.retire(chunk.next.segment, in_log).await;
        chunk.events.len()
    }

    #[tokio::test]
    async fn a_replayed_segment_stays_until_the_log_is_another_one_and_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), PLENTY).unwrap();
        let [first, second] = [1, 2].map(LogGeneration::with_salt);
        append(&spool, &[event(0), event(1)]).await.unwrap();
        assert_eq!(replay(&spool, Some(first)).await, 2);
        let status = spool.status();
        assert!(spool.is_empty() && status.bytes == 0 && status.segments == 0 && status.replayed_bytes > 0);
        append(&spool, &[event(2)]).await.unwrap();
        replay(&spool, None).await;
        assert_eq!(files(folder.path(), "replayed").len(), 2);
        // What wasn't known is in the first log that is seen.
        spool.let_go(first).await;
        assert_eq!(files(folder.path(), "replayed").len(), 2);
        spool.let_go(second).await;
        assert!(files(folder.path(), "replayed").is_empty() && !spool.keeps_replayed());
        append(&spool, &[event(3)]).await.unwrap();
        replay(&spool, Some(second)).await;
        assert_eq!(spool.status().lost_before_start, 0);
        drop(spool);
        let spool = Spool::open(folder.path(), PLENTY).unwrap();
        assert!(spool.is_empty() && spool.keeps_replayed() && spool.status().lost_before_start == 0);
        spool.let_go(first).await;
        assert!(spool.keeps_replayed(), "in the log that an orderly start has seen");
        spool.let_go(second).await;
        assert!(!spool.keeps_replayed());
    }

    #[tokio::test]
    async fn after_a_gap_it_waits_again() {
        let folder = tempfile::tempdir().unwrap();
        let events: Vec<_> = (0..5).map(event).collect();
        {
            let spool = Spool::open(folder.path(), PLENTY).unwrap();
            append(&spool, &events[..3]).await.unwrap();
            replay(&spool, Some(LogGeneration::with_salt(1))).await;
            append(&spool, &events[3..]).await.unwrap();
        }
        let spool = Spool::open_after_gap(folder.path(), PLENTY).unwrap();
        assert_eq!((spool.status().events, spool.status().lost_before_start), (5, 0));
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(read_all(&spool, 10).await, (ids, 0), "in their order");
    }

    #[tokio::test]
    async fn it_gives_way_to_events_and_only_to_those_that_fit_then() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 10_000).unwrap();
        for number in 0..8 {
            append(&spool, &[event(number)]).await.unwrap();
            replay(&spool, None).await;
        }
        let kept = spool.status().replayed_bytes;
        let events: Vec<_> = (0..100).map(event).collect();
        assert_eq!(append(&spool, &events).await, Err(SpoolError::Full));
        assert_eq!(spool.status().replayed_bytes, kept, "nothing is gained by its going");
        let mut taken = 0;
        while append(&spool, &[event(taken)]).await.is_ok() {
            taken += 1;
            let status = spool.status();
            assert!(status.bytes + status.replayed_bytes <= 10_000, "{status:?}");
        }
        assert!(taken > 10 && !spool.keeps_replayed(), "{taken}");
    }
}
