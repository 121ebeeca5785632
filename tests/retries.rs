//! What is done once more, and only once more: a write whose connection didn't come in time, and an event whose commit
//! left open what became of it. The storage breaks on command ([`vfs`]).

mod common;
mod vfs;

use std::sync::Arc;
use std::time::Duration;

use common::work::{all_events, await_empty_spool, member, stats};
use common::{SHORT, eventually};
use mainstay::clock::SystemClock;
use mainstay::config::{DatabaseSettings, PoolSettings};
use mainstay::db::rusqlite::{self, Connection, ffi};
use mainstay::db::{Database, Effect as Decided, ErrorKind, Migration, Operation, Options, Unobserved};
use serde_json::{Value, json};
use vfs::server::{FaultyServer, be_the_server};
use vfs::{Call, Effect, Fault, arm, install};

const ERRORS: &str = "/api/monitoring/errors";

#[test]
#[ignore = "the server on breaking storage, which the other tests start"]
fn the_faulty_server() {
    be_the_server();
}

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "words",
    sql: "CREATE TABLE words(word TEXT PRIMARY KEY)",
}];
const WRITE: Operation = Operation::write("words.write");
/// How long a write waits for its connection.
const PATIENCE: Duration = Duration::from_millis(300);

fn database(folder: &std::path::Path) -> Database {
    let pool = PoolSettings {
        connect_timeout: PATIENCE,
        ..PoolSettings::default()
    };
    let options = Options {
        name: "app",
        path: folder.join("app.db"),
        application_id: 7,
        migrations: SCHEMA,
        settings: DatabaseSettings {
            pool,
            ..DatabaseSettings::default()
        },
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens")
}

async fn put(database: &Database, word: &'static str) -> Result<(), mainstay::db::DbError> {
    let insert = move |c: &Connection| c.execute("INSERT INTO words VALUES (?1)", [word]).map(drop);
    database.write(WRITE, move |c| insert(c).map(Decided::Commit)).await
}

/// An error for which the writer's connection is given up.
async fn lose_connection(database: &Database) {
    let broken = |_: &Connection| {
        let failed = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_READ), None);
        Err::<Decided<()>, _>(failed)
    };
    database.write(WRITE, broken).await.expect_err("broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_connection_does_not_come_in_time_waits_for_it_once_more() {
    install();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("a folder");
    let database = database(&path);
    put(&database, "before").await.expect("written");
    let opening = |effect| arm(Fault::lasting(&[Call::Open], &path, "app.db", effect));

    // It hangs while it opens: in vain the first time, and there for the second.
    let hangs = opening(Effect::Hangs);
    lose_connection(&database).await;
    let before = database.status().retries.attempts;
    let waiting = tokio::spawn({
        let database = database.clone();
        async move { put(&database, "once").await }
    });
    while database.status().retries.attempts == before {
        assert!(!waiting.is_finished(), "{:?}", waiting.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(hangs);
    waiting.await.expect("no panic").expect("written at the second attempt");
    assert_eq!(database.status().retries.attempts, before + 1);

    // A third time would be one too many.
    let hangs = opening(Effect::Hangs);
    lose_connection(&database).await;
    let before = database.status().retries.attempts;
    let refused = put(&database, "never").await.expect_err("no connection");
    assert!(matches!(refused.kind, ErrorKind::PoolTimeout { .. }), "{refused}");
    assert!(refused.nothing_done(), "{refused}");
    assert_eq!(database.status().retries.attempts, before + 1);
    drop(hangs);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while put(&database, "after").await.is_err() {
        assert!(std::time::Instant::now() < until, "{:?}", database.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let words = "SELECT group_concat(word, ' ') FROM (SELECT word FROM words ORDER BY word)";
    let found = Connection::open(path.join("app.db"))
        .and_then(|other| other.query_row(words, [], |row| row.get::<_, String>(0)));
    assert_eq!(found.as_deref(), Ok("after before once"));
}

/// Sums over the groups, the hours and the totals of events.db: every event counts once in each.
fn counted(server: &FaultyServer) -> [i64; 4] {
    let file = server.other_party("events.db");
    let all = |sql: &str| file.query_row(sql, [], |row| row.get(0)).expect("a sum");
    [
        all("SELECT count(*) FROM events"),
        all("SELECT sum(count) FROM groups"),
        all("SELECT sum(count) FROM event_hours"),
        all("SELECT sum(count) FROM event_totals"),
    ]
}

#[test]
fn an_event_whose_commit_left_open_what_became_of_it_is_there_once_and_counted_once() {
    let mut server = FaultyServer::start(SHORT);
    let client = server.client();
    let report = |message: String| {
        let answer = client.post(ERRORS, &json!({ "message": message, "source": "retries" }));
        let told = answer.expect(201).json();
        told["id"].as_str().expect("an id").to_owned()
    };
    let mut ids = vec![report("before".to_owned())];
    let folder = server.data_dir().canonicalize().expect("a folder");
    // The commit's write is done, its sync fails; then a commit whose write is torn.
    for (call, effect) in [(Call::Sync, Effect::Fails), (Call::Write, Effect::Tears)] {
        let fault = server.arm(Fault::lasting(&[call], &folder, "events.db-wal", effect).only(0, 1));
        let hit = |ids: &mut Vec<String>| {
            ids.push(report(format!("left open by {call:?}")));
            (server.look(fault).1 > 0).then_some(())
        };
        eventually("a commit meets the fault", || hit(&mut ids));
        assert_eq!(server.lift(fault).1, 1);
    }
    eventually("it takes events at once again", || {
        let answer = client.post(ERRORS, &json!({ "message": "after", "source": "retries" }));
        let told = answer.expect(201).json();
        ids.push(told["id"].as_str().expect("an id").to_owned());
        (told["stored"] != "spool").then_some(())
    });
    let account = await_empty_spool(&client);
    let found = all_events(&client);
    common::work::assert_once("events", &ids, &member(&found, "id"));
    let count = i64::try_from(found.len()).expect("a count");
    // Mainstay's own events may come in between two looks.
    eventually("every count says the same", || {
        let seen = counted(&server);
        assert!(seen[0] >= count && seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        let told: Value = stats(&client)["errors"]["total"].clone();
        (told == seen[0]).then_some(())
    });
    assert!(account["stored"].as_i64() <= Some(counted(&server)[0]), "{account}");
}

/// A commit whose sync fails is in the log all the same: after a kill the next start finds it there, and what it
/// committed in the spool as well.
#[test]
fn an_event_that_is_in_the_log_and_in_the_spool_after_a_kill_is_counted_once() {
    let mut server = FaultyServer::start(SHORT);
    let client = server.client();
    let report = |message: &str| client.post(ERRORS, &json!({ "message": message, "source": "retries" }));
    report("before").expect(201);
    server.lasting(&[Call::Sync], "events.db-wal", Effect::Fails);
    let told = report("left open").expect(201).json();
    server.kill();
    server.restart();
    let client = server.client();
    await_empty_spool(&client);
    let found = member(&all_events(&client), "id");
    let id = told["id"].as_str().expect("an id").to_owned();
    common::work::assert_once("events", &[id], &found);
    let seen = counted(&server);
    assert!(seen.iter().all(|one| *one == seen[0]), "{told}: {seen:?}");
}
