//! A guestbook: a small Rocket application that embeds Mainstay's database layer and nothing else of it.
//!
//! ```text
//! cargo run --example guestbook        # at the address of Rocket.toml, with guestbook.db in this folder
//! curl --json '{"name": "Ada", "text": "Here I was."}' -H 'Idempotency-Key: one' http://127.0.0.1:3000/entries
//! curl http://127.0.0.1:3000/entries
//! sqlite3 guestbook.db                 # in another terminal: enter BEGIN IMMEDIATE; and leave it open
//! ```
//! Then signing gets 503 with Retry-After, listing goes on, and both recover when that terminal enters ROLLBACK.
//!
//! What it shows: own migrations; a read, a read with a fallback, a durable write that has one effect however often it
//! is sent under one key; an error turned into an answer; the watch that brings a broken database back; an orderly end.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay::clock::SystemClock;
use mainstay::db::classify::Told;
use mainstay::db::rusqlite::{self, Connection};
use mainstay::db::{
    Answered, BreakerChange, Database, DatabaseSettings, DbError, Effect, Migration, Observer, Once, Operation,
    Options, Safe,
};
use rocket::fairing::AdHoc;
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::status::Custom;
use rocket::serde::json::{Json, Value, json};
use rocket::serde::{Deserialize, Serialize};
use rocket::tokio::sync::RwLock;
use rocket::{Build, Responder, Rocket, State, get, post, routes, tokio};

/// The schema, one step a version; a step that was shipped is never edited.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "entries",
    sql: "CREATE TABLE entries (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL) STRICT",
}];

// Operations have names: they appear in errors, statistics and logs.
const LIST: Operation = Operation::scan("entries.list");
const COUNT: Operation = Operation::point("entries.count");
const SIGN: Operation = Operation::write("entries.sign");

#[derive(Serialize, Deserialize, Clone)]
#[serde(crate = "rocket::serde")]
struct Entry {
    name: String,
    text: String,
}

/// The latest number of entries that could be read, for the time when none can.
type LatestCount = RwLock<Option<(i64, Instant)>>;

/// Prints what the layer does; a real application would log it.
struct Narrator;

impl Observer for Narrator {
    fn breaker_changed(&self, change: &BreakerChange) {
        eprintln!("{}: {} -> {} ({})", change.name, change.from, change.to, change.cause);
    }

    fn retrying(&self, error: &DbError, attempt: u32, delay: Duration) {
        eprintln!("attempt {attempt} failed, next in {delay:?}: {error}");
    }
}

/// A database error as an answer: never "not found", and when to come back where that helps.
#[derive(Responder)]
enum Failure {
    #[response(status = 503)]
    Unavailable(Json<Value>, Header<'static>),
    #[response(status = 500)]
    Ours(Json<Value>),
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        // The error itself names operations and codes: it is for the log, not for a guest.
        eprintln!("{error}");
        let body = Json(json!({ "error": error.told().sentence(), "nothingDone": error.nothing_done() }));
        match error.told() {
            // Nothing that a guest sends can conflict here: these would be mistakes of this program.
            Told::Internal | Told::Conflict | Told::TooLarge => Self::Ours(body),
            Told::Busy | Told::Unavailable | Told::ReadOnly | Told::TooLong | Told::DataProblem => {
                let seconds = error.retry_after.map_or(1, |after| after.as_secs().max(1));
                Self::Unavailable(body, Header::new("Retry-After", seconds.to_string()))
            }
        }
    }
}

/// The caller's key for a write, so that sending it again is safe; without one a new key is made.
struct Key(String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Key {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let sent = request.headers().get_one("Idempotency-Key").map(str::to_owned);
        Outcome::Success(Self(sent.unwrap_or_else(|| uuid::Uuid::now_v7().to_string())))
    }
}

fn entries(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached("SELECT name, text FROM entries ORDER BY id DESC LIMIT 100")?;
    let entry = |row: &rusqlite::Row<'_>| {
        Ok(Entry {
            name: row.get(0)?,
            text: row.get(1)?,
        })
    };
    statement.query_map([], entry)?.collect()
}

#[get("/entries")]
async fn list(database: &State<Database>) -> Result<Json<Vec<Entry>>, Failure> {
    Ok(Json(database.read(LIST, entries).await?))
}

/// The number of entries; an older one, with its age, while the database can't be read.
#[get("/count")]
async fn count(database: &State<Database>, latest: &State<LatestCount>) -> Result<Json<Value>, Failure> {
    let known = *latest.read().await;
    let query = |connection: &Connection| {
        connection
            .prepare_cached("SELECT count(*) FROM entries")?
            .query_row([], |row| row.get(0))
    };
    let fallback = || known.map_or((0, None), |(count, at)| (count, Some(at.elapsed())));
    match database.read_or(COUNT, query, fallback).await {
        Safe::Value(count) => {
            *latest.write().await = Some((count, Instant::now()));
            Ok(Json(json!({ "count": count })))
        }
        Safe::Fallback {
            value, age: Some(age), ..
        } => Ok(Json(json!({ "count": value, "ageSeconds": age.as_secs() }))),
        Safe::Fallback { reason, .. } => Err(reason.into()),
    }
}

/// Signs the book. 201 means that the entry is on disk; the same key again gives the same answer and no second entry.
#[post("/entries", data = "<entry>")]
async fn sign(database: &State<Database>, key: Key, entry: Json<Entry>) -> Result<Custom<Json<Value>>, Failure> {
    let Entry { name, text } = entry.into_inner();
    let once = Once::of(key.0, format!("{name:?} {text:?}").as_bytes());
    // A job may run again from its start, inside a savepoint of a shared transaction: it keeps what it needs.
    let answered = database
        .write_once(SIGN, once, move |connection| {
            connection
                .prepare_cached("INSERT INTO entries (name, text) VALUES (?1, ?2)")?
                .execute((&name, &text))?;
            Ok(Effect::Commit(connection.last_insert_rowid()))
        })
        .await?;
    Ok(match answered {
        Answered::First(id) | Answered::Again(id) => Custom(Status::Created, Json(json!({ "id": id }))),
        Answered::Mismatch => {
            let why = json!({ "error": "this Idempotency-Key came with another entry before" });
            Custom(Status::UnprocessableEntity, Json(why))
        }
    })
}

/// Opens the file and starts its watch. Blocking: once, before anything is served.
fn open(path: PathBuf, settings: DatabaseSettings) -> Result<Database, mainstay::db::OpenError> {
    let options = Options {
        name: "guestbook",
        path,
        application_id: 0x6775_6573,
        migrations: MIGRATIONS,
        settings,
    };
    Database::open(options, SystemClock::shared(), Arc::new(Narrator))
}

fn application(database: Database) -> Rocket<Build> {
    let (watched, closed) = (database.clone(), database.clone());
    rocket::build()
        .manage(database)
        .manage(LatestCount::default())
        .mount("/", routes![list, count, sign])
        .attach(AdHoc::on_liftoff("watch", |_| {
            Box::pin(async move {
                // Probes at intervals and as soon as a breaker's time has come: recovery needs nobody.
                tokio::spawn(async move { watched.watch().await });
            })
        }))
        .attach(AdHoc::on_shutdown("close", |_| {
            Box::pin(async move {
                let closed = tokio::task::spawn_blocking(move || closed.close(Duration::from_secs(5)));
                if closed.await.is_err() {
                    eprintln!("closing panicked");
                }
            })
        }))
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new("guestbook.db").to_owned();
    let database = tokio::task::spawn_blocking(move || open(path, DatabaseSettings::default())).await??;
    application(database).launch().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocket::http::ContentType;
    use rocket::local::blocking::Client;

    fn guestbook() -> (tempfile::TempDir, Client) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = DatabaseSettings::default();
        settings.operation.timeout = Duration::from_secs(2);
        settings.operation.lock_timeout = Duration::from_millis(50);
        let database = open(folder.path().join("guestbook.db"), settings).expect("opens");
        let client = Client::tracked(application(database)).expect("ignites");
        (folder, client)
    }

    fn sign(client: &Client, name: &str) -> Status {
        let request = client.post("/entries").header(ContentType::JSON);
        request
            .body(json!({ "name": name, "text": "hello" }).to_string())
            .dispatch()
            .status()
    }

    #[test]
    fn what_was_signed_is_listed_and_counted() {
        let (_folder, client) = guestbook();
        assert_eq!(sign(&client, "Ada"), Status::Created);
        let listed: Value = client.get("/entries").dispatch().into_json().expect("a list");
        assert_eq!(listed, json!([{ "name": "Ada", "text": "hello" }]));
        let counted: Value = client.get("/count").dispatch().into_json().expect("a count");
        assert_eq!(counted, json!({ "count": 1 }));
    }

    #[test]
    fn the_same_key_signs_once() {
        let (_folder, client) = guestbook();
        let sign = |text: &str| {
            let request = client.post("/entries").header(ContentType::JSON);
            let keyed = request.header(Header::new("Idempotency-Key", "one"));
            keyed
                .body(json!({ "name": "Ada", "text": text }).to_string())
                .dispatch()
        };
        let first: Value = sign("hello").into_json().expect("an answer");
        let again: Value = sign("hello").into_json().expect("an answer");
        assert_eq!(first, again);
        assert_eq!(sign("something else").status(), Status::UnprocessableEntity);
        let counted: Value = client.get("/count").dispatch().into_json().expect("a count");
        assert_eq!(counted, json!({ "count": 1 }));
    }

    #[test]
    fn while_another_connection_holds_the_lock_reading_goes_on_and_writing_says_when_to_come_back() {
        let (folder, client) = guestbook();
        assert_eq!(sign(&client, "Ada"), Status::Created);
        let holder = Connection::open(folder.path().join("guestbook.db")).expect("opens");
        holder.execute_batch("BEGIN IMMEDIATE").expect("locks");
        let request = client.post("/entries").header(ContentType::JSON);
        let refused = request
            .body(json!({ "name": "Bob", "text": "hello" }).to_string())
            .dispatch();
        assert_eq!(refused.status(), Status::ServiceUnavailable);
        assert!(refused.headers().get_one("Retry-After").is_some());
        assert_eq!(client.get("/entries").dispatch().status(), Status::Ok);
        holder.execute_batch("ROLLBACK").expect("releases");
        assert_eq!(sign(&client, "Bob"), Status::Created);
    }
}
