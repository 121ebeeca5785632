//! A handler that panics: one problem for the client, one event with the request. The binary has no such handler, so the
//! skin is put around one here. A file of its own, because the panic hook belongs to the whole process.

use std::sync::Arc;
use std::time::Duration;

use mainstay::clock::{SharedClock, SystemClock};
use mainstay::config::DatabaseSettings;
use mainstay::db::{Database, Options, Unobserved};
use mainstay::events::{self, EventLog, Spool};
use mainstay::http::{Skin, catchers, methods_table, panics};
use mainstay::monitoring::Requests;
use rocket::http::{Header, Status};
use rocket::local::asynchronous::Client;
use rocket::{get, routes, tokio};

#[get("/panics/<secret>")]
fn panicking(secret: &str) -> String {
    panic!("the secret is {secret}")
}

#[rocket::async_test]
async fn a_handlers_panic_is_one_problem_and_one_event_with_its_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock: SharedClock = SystemClock::shared();
    let settings = DatabaseSettings::default();
    let options = Options {
        name: "events",
        path: folder.path().join("events.db"),
        application_id: 1,
        migrations: events::MIGRATIONS,
        settings: settings.clone(),
    };
    let database = Database::open(options, Arc::clone(&clock), Arc::new(Unobserved)).expect("opens");
    let spool = Spool::open(&folder.path().join("spool"), 1 << 20).expect("opens");
    let (capture, captures) = events::channel(Arc::clone(&clock));
    panics::install(capture.clone());
    let log = EventLog::start(database, spool, captures, &settings.operation);
    let mut stored = log.subscribe();
    let skin = Skin {
        connections: Arc::default(),
        requests: Arc::new(Requests::starting_at(clock.now())),
        capture,
        evidence: Arc::default(),
        slow_request: Duration::from_secs(60),
        clock,
    };
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment)
        .attach(skin)
        .attach(methods_table())
        .register("/", catchers::all())
        .mount("/", routes![panicking]);
    let client = Client::untracked(rocket).await.expect("a rocket");

    // On a worker, where requests are served.
    let asked = tokio::spawn(async move {
        let request = client.get("/panics/42").header(Header::new("X-Request-Id", "p1"));
        let answer = request.dispatch().await;
        (answer.status(), answer.into_string().await.expect("a body"))
    });
    let (status, body) = asked.await.expect("an answer");
    assert_eq!(status, Status::InternalServerError);
    assert!(
        body.contains("\"code\":\"internal\"") && body.contains("\"requestId\":\"p1\""),
        "{body}"
    );
    assert!(!body.contains("secret") && !body.contains(".rs"), "{body}");

    let event = stored.recv().await.expect("an event");
    let event = serde_json::to_value(&*event).expect("JSON");
    assert_eq!(
        (&event["requestId"], &event["path"]),
        (&"p1".into(), &"/panics/42".into())
    );
    assert_eq!(
        (&event["severity"], &event["exception"]["type"]),
        (&"high".into(), &"panic".into())
    );
    assert!(
        event["message"]
            .as_str()
            .is_some_and(|text| text.contains("the secret is 42")),
        "{event}"
    );
    assert!(log.drain(Duration::from_secs(10)).await);
    assert_eq!(log.ledger().accepted, 1, "one panic is one event");
}
