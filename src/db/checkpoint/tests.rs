//! Checkpoints on real files, with readers and writers in the way.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::*;
use crate::clock::SystemClock;
use crate::config::DatabaseSettings;
use crate::db::identity::log_path;
use crate::db::{Effect, Migration, Operation, Options, Unobserved};

const STEPS: &[Migration] = &[Migration {
    version: 1,
    name: "t",
    sql: "CREATE TABLE t(v BLOB)",
}];
const PUT: Operation = Operation::write("t.put");
const DAWDLE: Operation = Operation::scan("t.dawdle");

struct Bench {
    _folder: tempfile::TempDir,
    path: PathBuf,
    database: Database,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.db");
    let options = Options {
        name: "app",
        path: path.clone(),
        application_id: 7,
        migrations: STEPS,
        settings: DatabaseSettings::default(),
    };
    let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens");
    Bench {
        _folder: folder,
        path,
        database,
    }
}

impl Bench {
    async fn put(&self, bytes: u32) {
        let insert = move |c: &rusqlite::Connection| {
            c.execute("INSERT INTO t(v) VALUES (randomblob(?1))", [bytes])
                .map(|_| Effect::Commit(()))
        };
        self.database.write(PUT, insert).await.expect("written");
    }

    fn log_bytes(&self) -> u64 {
        std::fs::metadata(log_path(&self.path)).expect("there").len()
    }

    /// A read that has its snapshot and then does nothing until it is let go, and its end.
    async fn dawdler(&self) -> (Sender<()>, tokio::task::JoinHandle<i64>) {
        let (let_go, wait): (_, Receiver<()>) = channel();
        let (arrived, arrival) = tokio::sync::oneshot::channel();
        let (wait, arrived) = (Mutex::new(wait), Mutex::new(Some(arrived)));
        let database = self.database.clone();
        let query = move |c: &rusqlite::Connection| {
            let count = c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?;
            if let Some(arrived) = arrived.lock().take() {
                arrived.send(()).expect("somebody waits");
            }
            let _ = wait.lock().recv();
            Ok(count)
        };
        let read = tokio::spawn(async move { database.read(DAWDLE, query).await.expect("read") });
        arrival.await.expect("it reads");
        (let_go, read)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncating_checkpoint_empties_the_log_and_is_counted() {
    let bench = bench();
    bench.put(200_000).await;
    let passive = bench.database.checkpoint(Checkpoint::Passive).expect("made");
    assert!(passive.is_complete() && passive.frames > 40, "{passive:?}");
    assert!(bench.log_bytes() > 200_000, "passive leaves the file as long as it is");
    let truncated = bench.database.checkpoint(Checkpoint::Truncate).expect("made");
    assert!(!truncated.busy && truncated.frames == 0, "{truncated:?}");
    assert_eq!(bench.log_bytes(), 0);
    let status = bench.database.status().wal;
    assert!(status.checkpoints >= 2 && status.failures == 0, "{status:?}");
    assert_eq!(status.last.map(|last| last.kind), Some(Checkpoint::Truncate));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_ours_that_does_nothing_is_known_and_no_writer_waits_behind_it() {
    let bench = bench();
    bench.put(100).await;
    let (let_go, read) = bench.dawdler().await;
    bench.put(200_000).await;
    let began = Instant::now();
    let report = bench.database.checkpoint(Checkpoint::Truncate).expect("made");
    assert!(!report.is_complete(), "{report:?}");
    bench.put(100).await;
    assert!(began.elapsed() < Duration::from_secs(3), "nobody waited for the reader");
    bench.database.inner.keeper.holders().look(Duration::ZERO);
    let status = bench.database.status();
    let pinned_by = status.wal.pinned_by.expect("it is known");
    assert!(pinned_by.starts_with("t.dawdle of this process (at "), "{pinned_by}");
    assert!(status.wal.oldest_reader > Some(Duration::ZERO));
    assert_eq!(status.locks, [], "none of ours is somebody else's");
    let_go.send(()).expect("it waits");
    assert_eq!(read.await.expect("no panic"), 1, "its snapshot held");
    let report = bench.database.checkpoint(Checkpoint::Truncate).expect("made");
    assert!(!report.busy, "{report:?}");
    assert_eq!(bench.log_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keeper_checkpoints_by_itself_once_the_log_is_large() {
    let bench = bench();
    for _ in 0..3 {
        bench.put(2 << 20).await;
    }
    let until = Instant::now() + Duration::from_secs(30);
    let done = |database: &Database| {
        let status = database.status().wal;
        status.last.is_some_and(|last| last.is_complete() && last.frames > 1000)
    };
    while !done(&bench.database) {
        assert!(Instant::now() < until, "{:?}", bench.database.status().wal);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_isolated_file_stays_as_it_is() {
    let bench = bench();
    bench.put(20_000).await;
    let before = bench.log_bytes();
    bench.database.breakers()[1].isolate("test");
    assert!(bench.database.checkpoint(Checkpoint::Truncate).is_err());
    assert_eq!(bench.log_bytes(), before);
}

#[tokio::test]
async fn the_log_is_another_one_once_everything_in_it_is_in_the_file() {
    let bench = bench();
    let generation = || bench.database.log_generation().expect("told");
    bench.put(1000).await;
    let first = generation();
    assert!(!first.is_empty());
    bench.put(1000).await;
    assert_eq!(generation(), first);
    let reader = rusqlite::Connection::open(&bench.path).expect("opens");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM t")
        .expect("a snapshot");
    bench.put(1000).await;
    bench.database.checkpoint(Checkpoint::Passive).expect("made");
    bench.put(1000).await;
    assert_eq!(generation(), first, "the checkpoint came to no end");
    reader.execute_batch("ROLLBACK").expect("ended");
    bench.database.checkpoint(Checkpoint::Passive).expect("made");
    assert_eq!(generation(), first, "it is there for whoever reads it after a crash");
    bench.put(1000).await;
    assert_ne!(generation(), first);
    bench.database.checkpoint(Checkpoint::Truncate).expect("made");
    assert!(generation().is_empty());
    std::fs::remove_file(log_path(&bench.path)).expect("removed");
    assert_eq!(bench.database.log_generation(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_list_of_locks_while_nothing_happens() {
    let bench = bench();
    let holders = bench.database.inner.keeper.holders();
    let looked_since = |before| {
        let until = Instant::now() + Duration::from_secs(30);
        while holders.looked_at() <= before {
            assert!(Instant::now() < until, "the keeper looks while the log is written");
            std::thread::sleep(Duration::from_millis(20));
        }
        holders.looked_at()
    };
    bench.put(100).await;
    looked_since(None);
    bench.put(100).await;
    let last = looked_since(holders.looked_at());
    // Three looks at the log's file, in which nothing was written.
    std::thread::sleep(Duration::from_millis(3200));
    assert_eq!(holders.looked_at(), last);
    bench.put(100).await;
    looked_since(last);
}

#[tokio::test]
async fn nobody_waits_to_be_told_which_log_it_is_while_another_copies_it() {
    let bench = bench();
    bench.put(1000).await;
    let asked = bench.database.inner.health.while_log_is_copied(|| {
        let database = bench.database.clone();
        std::thread::spawn(move || database.log_generation())
            .join()
            .expect("asked")
    });
    assert_eq!(asked, None);
    assert!(bench.database.log_generation().is_some());
}
