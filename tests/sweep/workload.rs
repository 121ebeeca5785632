//! What the sweep runs and how it judges: every write makes two rows that belong together.
//!
//! What must stay true: the workload is the same each time, as far as threads allow: the jobs that share a commit are
//! queued while the writer is held.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mainstay::clock::SystemClock;
use mainstay::config::{BreakerSettings, DatabaseSettings, OperationSettings, PoolSettings, RetrySettings};
use mainstay::db::rusqlite::{self, Connection};
use mainstay::db::{
    Answered, Database, DbError, Effect, ErrorKind, Migration, Once, OpenError, Operation, Options, Unobserved,
};

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
/// The longest that breakers may refuse once the fault is gone: far more than their open time.
const RECOVERY: Duration = Duration::from_secs(10);

/// The job that is written under a key, and how often its caller tries.
const KEYED: i64 = 40;
const KEYED_TRIES: usize = 3;

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

/// Writes under a key as a caller does that wants to know: once more while nothing is certain. Done twice, the value
/// would show it.
async fn write_keyed(database: &Database) -> Written {
    let mut came_to = Vec::new();
    for _ in 0..KEYED_TRIES {
        let once = Once {
            key: "keyed".to_owned(),
            fingerprint: [0; 32],
        };
        let add = |c: &Connection| {
            let mut add = c.prepare_cached(
                "INSERT INTO halves(job, half, value, filler) VALUES (?1, ?2, ?3, zeroblob(3000))
                 ON CONFLICT DO UPDATE SET value = value + 1",
            )?;
            add.execute((KEYED, 1, FRESH))?;
            add.execute((KEYED, 2, FRESH)).map(|_| Effect::Commit(()))
        };
        came_to.push(came(database.write_once(WRITE, once, add).await.map(|answered| {
            assert_ne!(answered, Answered::Mismatch);
        })));
        if came_to.contains(&Came::Acknowledged) {
            break;
        }
    }
    let unknown = came_to.contains(&Came::Unknown);
    let last = came_to.pop().expect("tried");
    Written {
        job: KEYED,
        value: FRESH,
        came: match last {
            Came::NotDone(_) if unknown => Came::Unknown,
            last => last,
        },
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
    done.push(write_keyed(database).await);
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

/// The breakers remember over a restart what they saw, so that they may refuse at first; with the probes that the watch
/// makes they let go, and nothing else stands in the way.
async fn refusals_until_it_writes(database: &Database, context: &str) -> u32 {
    let until = Instant::now() + RECOVERY;
    let mut refused = 0;
    // A disk that was full is looked at by the watch alone.
    let watched = tokio::spawn({
        let database = database.clone();
        async move { database.watch().await }
    });
    while let Err(error) = database.write(WRITE, |c| insert(c, 99).map(Effect::Commit)).await {
        let by_breaker = matches!(error.kind, ErrorKind::CircuitOpen { .. } | ErrorKind::Isolated { .. });
        assert!(
            by_breaker && Instant::now() < until,
            "{context}: after the fault: {error}"
        );
        refused += 1;
        database.probe().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watched.abort();
    refused
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
    if runtime.block_on(refusals_until_it_writes(&database, context)) > 0 {
        *tally.entry("refused at first").or_default() += 1;
    }
    // Whatever became of it then: under its key it has one effect.
    let keyed = runtime.block_on(write_keyed(&database));
    assert_eq!(keyed.came, Came::Acknowledged, "{context}: the key after the fault");
    assert_eq!(halves(&connection)[&KEYED], [FRESH, FRESH], "{context}: one effect");
    database.close(Duration::from_secs(20));
    tally
}
