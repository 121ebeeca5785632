//! The text index beside a real file: nobody's event is forgotten, and who searches waits for what was stored before.

use rusqlite::Connection;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::config::DatabaseSettings;
use crate::db::{Options, Unobserved};
use crate::events::group::Engine;
use crate::events::parse;
use crate::events::schema::MIGRATIONS;
use crate::events::store::{Prepared, insert};

fn open(folder: &std::path::Path) -> Database {
    let options = Options {
        name: "events",
        path: folder.join("events.db"),
        application_id: 1,
        migrations: MIGRATIONS,
        settings: DatabaseSettings::default(),
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).unwrap()
}

/// Stores events with this word, as the pipeline does.
async fn store(database: &Database, backlog: &Backlog, word: &str, count: usize) {
    let json = serde_json::json!({ "message": word }).to_string();
    let events = (0..count).map(|_| parse::event(&json, SystemClock.wall()).unwrap());
    let batch: Vec<_> = events.map(Prepared::new).collect();
    let job = move |connection: &Connection| insert(connection, &batch, &mut Engine::default()).map(Effect::Commit);
    database.write(Operation::write("store"), job).await.unwrap();
    backlog.add(count as u64);
}

async fn found(database: &Database, word: &'static str) -> i64 {
    let count = "SELECT count(*) FROM event_text WHERE event_text MATCH ?1";
    let query = move |connection: &Connection| connection.query_row(count, [word], |row| row.get(0));
    database.read(Operation::scan("found"), query).await.unwrap()
}

async fn segments(database: &Database) -> i64 {
    let segments = "SELECT count(DISTINCT segid) FROM event_text_idx";
    let query = move |connection: &Connection| connection.query_row(segments, [], |row| row.get(0));
    database.read(Operation::scan("segments"), query).await.unwrap()
}

/// Every event that was stored before is found, sooner or later; and who is told that all are, finds them at once.
async fn all_found(database: &Database, backlog: &Backlog, word: &'static str, count: i64) {
    let wait = async { while backlog.catch_up().await > 0 {} };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("caught up");
    assert_eq!((found(database, word).await, backlog.pending()), (count, 0));
}

struct Running {
    backlog: Arc<Backlog>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn on(database: &Database) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (backlog, database) = (Backlog::new(), database.clone());
        let shared = Arc::clone(&backlog);
        let task = tokio::spawn(async move { run(&database, &shared, stopping).await });
        Self { backlog, stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_found_also_what_another_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let unheard = Backlog::new();
    store(&database, &unheard, "left", ROUND + 3).await;
    assert_eq!(
        (unheard.catch_up().await, found(&database, "left").await),
        (ROUND as u64 + 3, 0),
        "nobody indexes"
    );

    let running = Running::on(&database);
    for number in 1..=5_i64 {
        store(&database, &running.backlog, "stored", 40).await;
        all_found(&database, &running.backlog, "stored", number * 40).await;
    }
    assert_eq!(found(&database, "left").await, ROUND as i64 + 3);
    running.end().await;

    let again = Running::on(&database);
    store(&database, &again.backlog, "later", 1).await;
    all_found(&database, &again.backlog, "later", 1).await;
    assert_eq!(found(&database, "stored").await, 200, "indexed once");
    again.end().await;
    database.close(Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_keeps_the_number_of_segments_small() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let running = Running::on(&database);
    for number in 1..=60 {
        store(&database, &running.backlog, "word", 5).await;
        all_found(&database, &running.backlog, "word", number * 5).await;
    }
    let count = segments(&database).await;
    assert!((1..=16).contains(&count), "{count} segments of 60 commits");
    running.end().await;
    database.close(Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_process_left_to_merge_is_merged_without_a_new_event() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    for _ in 0..30 {
        store(&database, &Backlog::new(), "word", 5).await;
        let index = |connection: &Connection| {
            let found = rows::next(connection, ROUND)?;
            rows::index(connection, &found).map(Effect::Commit)
        };
        database.write(Operation::write("index"), index).await.unwrap();
    }
    assert_eq!(segments(&database).await, 30, "nobody merged");
    let running = Running::on(&database);
    let merged = async {
        while segments(&database).await > 16 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), merged)
        .await
        .expect("merged");
    assert_eq!(found(&database, "word").await, 150);
    running.end().await;
    database.close(Duration::from_secs(5));
}
