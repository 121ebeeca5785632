//! Many small writes at once on a real file: few jobs, and to each caller its own answer.

use std::collections::BTreeSet;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::config::DatabaseSettings;
use crate::db::{Options, Unobserved};
use crate::events::parse;
use crate::events::schema::MIGRATIONS;

struct Bench {
    database: Database,
    sink: Arc<DatabaseSink>,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        name: "events",
        path: folder.path().join("events.db"),
        application_id: 1,
        migrations: MIGRATIONS,
        settings: DatabaseSettings::default(),
    };
    let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).unwrap();
    let sink = Arc::new(DatabaseSink::new(
        database.clone(),
        &DatabaseSettings::default().operation,
        Groups::new(u32::MAX, Arc::default()),
    ));
    Bench {
        database,
        sink,
        _folder: folder,
    }
}

fn batch(json: &serde_json::Value) -> Batch {
    let event = parse::event(&json.to_string(), SystemClock.wall()).unwrap();
    Arc::new(vec![Prepared::new(event)])
}

/// Keeps the writer busy until the sender is used or dropped.
async fn hold(database: &Database) -> std::sync::mpsc::Sender<()> {
    let (open, gate) = std::sync::mpsc::channel();
    let (began, begun) = tokio::sync::oneshot::channel();
    let (gate, mut began) = (Mutex::new(gate), Some(began));
    let job = move |_: &Connection| {
        if let Some(began) = began.take() {
            let _ = began.send(());
        }
        let _ = gate.lock().recv();
        Ok(Effect::Commit(()))
    };
    let database = database.clone();
    tokio::spawn(async move { database.write(Operation::write("hold"), job).await });
    begun.await.unwrap();
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_come_at_once_share_jobs_and_each_gets_its_own_answer() {
    let bench = bench();
    let before = bench.database.status().writer.jobs;
    let gate = hold(&bench.database).await;
    let callers: Vec<_> = (0..60)
        .map(|number| {
            // Three kinds of messages; and the last ten are the first ten again.
            let id = format!("0192f0c1-a2b3-7c4d-8e9f-{:012}", number % 50);
            let kind = ["apples", "bread", "coffee"][number % 50 % 3];
            let batch = batch(&serde_json::json!({ "id": id, "message": format!("no {kind} left") }));
            let sink = Arc::clone(&bench.sink);
            tokio::spawn(async move { (number, sink.write(batch).await) })
        })
        .collect();
    while bench.database.status().writer.queued < 2 {
        tokio::task::yield_now().await;
    }
    drop(gate);
    let (mut groups, mut new, mut twice) = ([BTreeSet::new(), BTreeSet::new(), BTreeSet::new()], 0, 0);
    for caller in callers {
        let (number, answer) = caller.await.unwrap();
        match answer.expect("written")[..] {
            [Inserted::New { group_id }] => {
                groups[number % 50 % 3].insert(group_id);
                new += 1;
            }
            [Inserted::Duplicate] => twice += 1,
            ref other => panic!("{other:?}"),
        }
    }
    assert_eq!((new, twice), (50, 10));
    assert_eq!(
        groups.each_ref().map(BTreeSet::len),
        [1, 1, 1],
        "each was told of its own event"
    );
    let jobs = bench.database.status().writer.jobs - before;
    assert!(jobs < 20, "{jobs} jobs for 60 callers");
    bench.database.close(Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_stops_nobody_and_a_failure_is_told_to_all() {
    let bench = bench();
    let gate = hold(&bench.database).await;
    let write = |text: &str| {
        let (sink, batch) = (Arc::clone(&bench.sink), batch(&serde_json::json!({ "message": text })));
        tokio::spawn(async move { sink.write(batch).await })
    };
    let callers: Vec<_> = (0..20).map(|number| write(&format!("event {number}"))).collect();
    while bench.database.status().writer.queued < 2 {
        tokio::task::yield_now().await;
    }
    callers[10..].iter().for_each(tokio::task::JoinHandle::abort);
    drop(gate);
    for caller in callers.into_iter().take(10) {
        let answer = caller.await.unwrap().expect("written");
        assert!(matches!(answer[..], [Inserted::New { .. }]), "{answer:?}");
    }

    bench.database.close(Duration::from_secs(5));
    let late: Vec<_> = (0..20).map(|number| write(&format!("late {number}"))).collect();
    for caller in late {
        caller.await.unwrap().expect_err("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_share_jobs_too_and_each_gets_its_own_answers() {
    let bench = bench();
    let before = bench.database.status().writer.jobs;
    let gate = hold(&bench.database).await;
    let answers: Vec<_> = (0..18)
        .map(|number| {
            let events = (0..SMALL + 1 + number).map(|_| {
                let json = serde_json::json!({ "message": "large" }).to_string();
                Prepared::new(parse::event(&json, SystemClock.wall()).unwrap())
            });
            // It waits in the queue from here on, not only from the first poll.
            bench.sink.write(Arc::new(events.collect()))
        })
        .collect();
    drop(gate);
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.expect("written");
        assert_eq!(answer.len(), SMALL + 1 + number, "its own answers");
        assert!(answer.iter().all(|one| matches!(one, Inserted::New { .. })));
    }
    let jobs = bench.database.status().writer.jobs - before;
    assert!(jobs < 15, "{jobs} jobs for 18 callers");
    bench.database.close(Duration::from_secs(5));
}
