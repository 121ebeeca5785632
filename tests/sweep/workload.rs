//! What the sweep runs and how it judges: every write makes two rows that belong together.
//!
//! What must stay true: the workload is the same each time, as far as threads allow: the jobs that share a commit are
//! queued while the writer is held.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mainstay::clock::SystemClock;
use mainstay::config::{BreakerSettings, DatabaseSettings, OperationSettings, PoolSettings, RetrySettings};
use mainstay::db::rusqlite::{self, Connection};
use mainstay::db::{Database, DbError, Effect, ErrorKind, Migration, OpenError, Operation, Options, Unobserved};

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "halves",
    sql: "CREATE TABLE halves(job INTEGER, half INTEGER, value INTEGER, filler BLOB, PRIMARY KEY(job, half));
          CREATE INDEX by_value ON halves(value)",
}];
const WRITE: Operation = Operation::write("halves.write");
const POINT: Operation = Operation::point("halves.point");
const SCAN: Operation = Operation::scan("halves.scan");
/// Jobs that share a commit.
const TOGETHER: i64 = 5;
/// The value of a fresh job's halves, and that of the updated ones.
const FRESH: i64 = 1;
const UPDATED: i64 = 2;

/// Counts of what happened, by kind.
pub type Tally = BTreeMap<&'static str, u64>;

/// What a write came to.
#[derive(Debug, Clone, PartialEq)]
enum Came {
    Acknowledged,
    NotDone(String),
    Unknown,
}

/// A write: the job, the value it gives, and what it came to.
pub struct Written {
    job: i64,
    value: i64,
    came: Came,
}

/// Opens the database below this folder, with delays that are short enough for thousands of runs.
pub fn open(folder: &Path) -> Result<Database, OpenError> {
    let settings = DatabaseSettings {
        pool: PoolSettings {
            max: 2,
            min: 1,
            connect_timeout: Duration::from_millis(200),
            ..PoolSettings::default()
        },
        retry: RetrySettings {
            base_delay: Duration::from_millis(1),
            max_attempts: 3,
        },
        breaker: BreakerSettings {
            threshold: 5,
            open_for: Duration::from_millis(50),
        },
        operation: OperationSettings {
            timeout: Duration::from_millis(2000),
            lock_timeout: Duration::from_millis(50),
            ..OperationSettings::default()
        },
        ..DatabaseSettings::default()
    };
    let options = Options {
        name: "app",
        path: folder.join("app.db"),
        application_id: 7,
        migrations: SCHEMA,
        settings,
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved))
}

fn insert(connection: &Connection, job: i64) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO halves(job, half, value, filler) VALUES (?1, ?2, ?3, zeroblob(3000))")?;
    insert.execute((job, 1, FRESH))?;
    insert.execute((job, 2, FRESH)).map(drop)
}

fn came(result: Result<(), DbError>) -> Came {
    match result {
        Ok(()) => Came::Acknowledged,
        Err(error) if error.nothing_done() => Came::NotDone(error.to_string()),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::OutcomeUnknown, "the only one that says so");
            Came::Unknown
        }
    }
}

async fn write_one(database: &Database, job: i64) -> Written {
    let result = database.write(WRITE, move |c| insert(c, job).map(Effect::Commit)).await;
    Written {
        job,
        value: FRESH,
        came: came(result),
    }
}

/// Writes several jobs, which wait while the writer is held by the first and then share one commit.
async fn write_together(database: &Database, first: i64) -> Vec<Written> {
    let (release, held) = mpsc::channel::<()>();
    let hold = database.write(WRITE, move |_| {
        // Disconnected once it was let go, for every repetition too.
        let _ = held.recv();
        Ok(Effect::Commit(()))
    });
    let jobs: Vec<_> = (first..first + TOGETHER)
        .map(|job| {
            let database = database.clone();
            async move { write_one(&database, job).await }
        })
        .collect();
    let mut queued = tokio::task::JoinSet::new();
    let local = async {
        for job in jobs {
            queued.spawn(job);
            tokio::task::yield_now().await;
        }
        drop(release);
        let mut written = Vec::new();
        while let Some(one) = queued.join_next().await {
            written.push(one.expect("no panic"));
        }
        written
    };
    let (_, written) = tokio::join!(hold, local);
    written
}

async fn workload(database: &Database, folder: &Path, done: &mut Vec<Written>) {
    for job in 1..=3 {
        done.push(write_one(database, job).await);
    }
    done.extend(write_together(database, 10).await);
    let taken = database
        .write(WRITE, |c| {
            insert(c, 20)?;
            // The second half collides: the first must not stay.
            insert(c, 20).map(Effect::Commit)
        })
        .await;
    done.push(Written {
        job: 20,
        value: FRESH,
        came: came(taken),
    });
    let updated = database
        .write(WRITE, |c| {
            let first = c.execute("UPDATE halves SET value = ?1 WHERE job = 1 AND half = 1", [UPDATED])?;
            let second = c.execute("UPDATE halves SET value = ?1 WHERE job = 1 AND half = 2", [UPDATED])?;
            Ok(Effect::Commit((first, second)))
        })
        .await;
    // There is nothing to update where the first write was not done.
    if !matches!(updated, Ok((0, 0))) {
        done.push(Written {
            job: 1,
            value: UPDATED,
            came: came(updated.map(|rows| assert_eq!(rows, (1, 1), "both halves"))),
        });
    }
    // Reads have nothing to lose; they must only come back.
    let value = |c: &Connection| {
        c.query_row("SELECT value FROM halves WHERE job = 1 AND half = 1", [], |row| {
            row.get(0)
        })
    };
    let _: Result<i64, _> = database.read(POINT, value).await;
    let _: Result<i64, _> = database
        .read(SCAN, |c| {
            c.query_row("SELECT count(*) FROM halves NOT INDEXED", [], |row| row.get(0))
        })
        .await;
    checkpoint(folder);
    done.push(write_one(database, 30).await);
    database.probe().await;
    done.push(write_one(database, 31).await);
}

/// As another party would do it; whether it succeeds is for the fault to decide.
fn checkpoint(folder: &Path) {
    if let Ok(other) = Connection::open(folder.join("app.db")) {
        let _ = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

/// Opens, works, closes; gives what the writes were said to have come to.
pub fn run(folder: &Path) -> Vec<Written> {
    let mut done = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let Ok(database) = open(folder) {
        runtime.block_on(workload(&database, folder, &mut done));
        database.close(Duration::from_secs(20));
    }
    done
}

/// The halves that are there: job → values.
fn halves(connection: &Connection) -> BTreeMap<i64, Vec<i64>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    let mut select = connection.prepare("SELECT job, value FROM halves").expect("prepared");
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("read");
    for (job, value) in rows.map(|row| row.expect("a row")) {
        found.entry(job).or_default().push(value);
    }
    found
}

/// Judges what a run left, with the fault gone.
pub fn verify(folder: &Path, done: Vec<Written>, context: &str) -> Tally {
    let database = open(folder).unwrap_or_else(|error| panic!("{context}: it doesn't open: {error}"));
    let connection = Connection::open(folder.join("app.db")).expect("opens");
    let integrity: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(integrity, "ok", "{context}");
    let found = halves(&connection);
    let mut tally = Tally::new();
    for (job, values) in &found {
        assert!(
            values.len() == 2 && values[0] == values[1],
            "{context}: job {job} is there by half: {values:?}"
        );
        assert!(
            done.iter().any(|one| one.job == *job),
            "{context}: job {job} comes from nowhere"
        );
    }
    for one in &done {
        let value = found.get(&one.job).map(|values| values[0]);
        let (kind, right) = match &one.came {
            // An update after it is right too.
            Came::Acknowledged => ("acknowledged", value >= Some(one.value)),
            Came::NotDone(_) => ("not done", value.is_none_or(|value| value < one.value)),
            Came::Unknown if value >= Some(one.value) => ("unknown, done", true),
            Came::Unknown => ("unknown, not done", true),
        };
        assert!(
            right,
            "{context}: job {} came to {:?} and is {value:?}",
            one.job, one.came
        );
        *tally.entry(kind).or_default() += 1;
    }
    if done.is_empty() {
        *tally.entry("not opened").or_default() += 1;
    }
    // It works again.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let after = runtime.block_on(write_one(&database, 99));
    assert_eq!(after.came, Came::Acknowledged, "{context}: after the fault");
    database.close(Duration::from_secs(20));
    tally
}
