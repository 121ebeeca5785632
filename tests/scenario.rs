//! The real thing: many clients, locks held by another process, kill -9 and signals, through the front door.
//!
//! What must stay true, and is judged on whole lists: what was acknowledged is there exactly once; what was refused was
//! refused fast, with the reason and the time to come back; recovery needs nobody.

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::work::{
    OtherProcess, all_documents, all_events, assert_once, await_breaker, await_empty_spool, be_the_other_process,
    breaker, in_parallel, member, stats,
};
use common::{Answer, Client, SHORT, Server, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

const CLIENTS: usize = 32;
const ERRORS: &str = "/api/monitoring/errors";

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

fn settings<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = SHORT
        .iter()
        .filter(|(name, _)| changed.iter().all(|(other, _)| name != other));
    kept.copied().chain(changed.iter().copied()).collect()
}

fn create(client: &Client, marker: &str) -> Answer {
    client.post(
        "/api/data/notes",
        &json!({ "marker": marker, "text": "some text of a usual length" }),
    )
}

fn event(marker: &str) -> Value {
    json!({ "message": marker, "type": "api", "severity": "medium", "source": "scenario" })
}

/// Events of a batch's answer, each of which must have been accepted; whether all of them went to the spool.
fn batch_ids(answer: &Value, sent: usize) -> (Vec<String>, bool) {
    assert_eq!(
        (answer["accepted"].as_u64(), answer["rejected"].as_u64()),
        (Some(sent as u64), Some(0)),
        "{answer}"
    );
    let results = answer["results"].as_array().expect("results");
    let spooled = results.iter().all(|one| one["stored"] == "spool");
    assert_eq!(spooled, answer["stored"] == "spool", "{answer}");
    (member(results, "id"), spooled)
}

/// One client's events: single ones, arrays and NDJSON; gives their ids and how many calls were answered from the spool.
fn report_in_all_forms(client: &Client, who: usize, rounds: usize) -> (Vec<String>, usize) {
    let (mut ids, mut spooled) = (Vec::new(), 0);
    for round in 0..rounds {
        let one = client
            .post(ERRORS, &event(&format!("single {who} {round}")))
            .expect(201)
            .json();
        ids.push(one["id"].as_str().expect("an id").to_owned());
        spooled += usize::from(one["stored"] == "spool");
        let five = |form: &str| [0, 1, 2, 3, 4].map(|n| event(&format!("{form} {who} {round} {n}")));
        let lines: String = five("line").iter().map(|item| format!("{item}\n")).collect();
        let array = json!(five("item")).to_string();
        for (kind, body) in [("application/json", array), ("application/x-ndjson", lines)] {
            let answer = client
                .send("POST", ERRORS, Some((kind, body.as_bytes())))
                .expect(200)
                .json();
            let (of_batch, all_spooled) = batch_ids(&answer, 5);
            ids.extend(of_batch);
            spooled += usize::from(all_spooled);
        }
    }
    (ids, spooled)
}

fn write_2000_documents_and_5000_events(server: &Server) -> (Vec<String>, Vec<String>) {
    const DOCUMENTS: usize = 2000;
    const EVENTS: usize = 5000;
    let (next_document, next_event) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let written = in_parallel(CLIENTS, |_| {
        let client = server.client();
        let (mut documents, mut events) = (Vec::new(), Vec::new());
        loop {
            let document = next_document.fetch_add(1, Ordering::Relaxed);
            if document < DOCUMENTS {
                let made = create(&client, &format!("document {document}")).expect(201).json();
                documents.push(made["id"].as_str().expect("an id").to_owned());
            }
            let first = next_event.fetch_add(2, Ordering::Relaxed);
            for number in first..(first + 2).min(EVENTS) {
                let one = client
                    .post(ERRORS, &event(&format!("event {number}")))
                    .expect(201)
                    .json();
                events.push(one["id"].as_str().expect("an id").to_owned());
            }
            if document >= DOCUMENTS && first >= EVENTS {
                return (documents, events);
            }
        }
    });
    let (documents, events): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    let (documents, events) = (documents.concat(), events.concat());
    assert_eq!((documents.len(), events.len()), (DOCUMENTS, EVENTS));
    (documents, events)
}

/// Writes until the breaker of app.db opens; each is refused for a reason that a client understands.
fn write_until_open(server: &Server) -> Answer {
    let refusals = in_parallel(4, |_| {
        let client = server.client();
        eventually("app.write opens", || {
            let refused = create(&client, "never").expect(503);
            (breaker(&client, "app.write")["state"] == "OPEN").then_some(refused)
        })
    });
    refusals.into_iter().next().expect("four")
}

/// The times of 50 refused writes within one open period.
fn times_of_refusals(client: &Client) -> Vec<Duration> {
    eventually("fifty refusals within one open period", || {
        let before = await_breaker(client, "app.write", "OPEN");
        let timed = |_| {
            let began = Instant::now();
            let refused = create(client, "never").expect(503);
            (began.elapsed(), refused)
        };
        let made: Vec<_> = (0..50).map(timed).collect();
        let after = breaker(client, "app.write");
        if after["state"] != "OPEN" || after["openedAt"] != before["openedAt"] {
            return None;
        }
        for (_, refused) in &made {
            let body = refused.json();
            let header: u64 = refused
                .header("Retry-After")
                .expect("Retry-After")
                .parse()
                .expect("seconds");
            assert!(header >= 1 && body["retryAfter"] == header, "{refused:?}");
            assert_eq!(body["code"], "database_busy");
            assert_eq!(body["systemStatus"]["databaseHealthy"], false);
        }
        Some(made.into_iter().map(|(took, _)| took).collect())
    })
}

/// Breaker, events and health say the same: what is refused, why, and until when.
fn assert_explained(client: &Client) {
    let open = await_breaker(client, "app.write", "OPEN");
    let cause = open["cause"].as_str().expect("a cause");
    assert!(cause.contains("lock is held"), "{open}");
    assert!(open["retryAt"].is_string() && open["openedAt"].is_string(), "{open}");
    let evidence = open["evidence"].as_array().expect("evidence");
    assert!(!evidence.is_empty(), "{open}");
    for id in evidence.iter().map(|id| id.as_str().expect("an id")) {
        let told = eventually("the evidence is stored", || {
            Some(client.get(&format!("{ERRORS}/{id}"))).filter(|answer| answer.status == 200)
        });
        let details = told.json()["details"].clone();
        // The failures before it opened, and the opening itself.
        assert!(
            details["database"] == "app" || details["breaker"] == "app.write",
            "{details}"
        );
    }
    let why = eventually("an event says why", || {
        let listed = client
            .get(&format!("{ERRORS}?type=database&limit=500"))
            .expect(200)
            .json();
        let events = listed["errors"].as_array().expect("a list").clone();
        events
            .into_iter()
            .find(|e| e["details"]["breaker"] == "app.write" && e["details"]["to"] == "OPEN")
    });
    assert!(
        why["details"]["cause"]
            .as_str()
            .is_some_and(|told| told.contains("lock is held")),
        "{why}"
    );
    assert_eq!(why["severity"], "high");
    let health = client.get("/api/monitoring/health").expect(200).json();
    assert_eq!(
        (&health["status"], &health["databaseHealthy"]),
        (&json!("degraded"), &json!(false))
    );
    let because = health["because"].as_array().expect("reasons");
    assert!(
        because
            .iter()
            .any(|reason| reason.as_str().is_some_and(|r| r.contains("app.write"))),
        "{health}"
    );
}

#[test]
fn a_held_write_lock_of_app_db_stops_writes_alone_and_they_recover_unaided() {
    const BREAKER_TIMEOUT: Duration = Duration::from_secs(3);
    let server = Server::start(&settings(&[("DB_BREAKER_TIMEOUT_MS", "3000")]));
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let (documents, events) = write_2000_documents_and_5000_events(&server);
    assert_once("documents", &documents, &member(&all_documents(&client, "notes"), "id"));
    assert_once("events", &events, &member(&all_events(&client), "id"));

    let lock = OtherProcess::hold(&server, "app.db");
    let refused = write_until_open(&server);
    let reads: usize = in_parallel(8, |who| {
        let client = server.client();
        let mine = documents.iter().skip(who).step_by(80);
        mine.map(|id| client.get(&format!("/api/data/notes/{id}")).expect(200))
            .count()
    })
    .into_iter()
    .sum();
    assert_eq!(reads, 200);
    let mut times = times_of_refusals(&client);
    times.sort();
    assert!(times[times.len() / 2] <= Duration::from_millis(50), "{times:?}");
    assert!(times[times.len() - 1] <= Duration::from_secs(1), "{times:?}");
    assert_explained(&client);
    let request = refused.json()["requestId"].clone();
    eventually("the refused request is among the events", || {
        all_events(&client)
            .into_iter()
            .find(|event| event["requestId"] == request)
    });

    lock.release();
    let released = Instant::now();
    await_breaker(&client, "app.write", "CLOSED");
    // One re-opening at the worst, its jitter, and the three probes that close it.
    let most = BREAKER_TIMEOUT.mul_f64(1.5 * 1.1) + Duration::from_secs(3);
    assert!(released.elapsed() <= most, "closed after {:?}", released.elapsed());
    let made = create(&client, "after").expect(201).json();
    let now_there = all_documents(&client, "notes");
    assert_eq!(now_there.len(), documents.len() + 1, "nothing of the refused was done");
    assert!(now_there.iter().any(|one| one["id"] == made["id"]));
    eventually("healthy again", || {
        (client.get("/api/monitoring/health").json()["status"] == "healthy").then_some(())
    });
}

#[test]
fn events_posted_while_events_db_is_locked_are_all_answered_and_found_once() {
    const ROUNDS: usize = 4;
    let server = Server::start(SHORT);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let lock = OtherProcess::hold(&server, "events.db");
    let reported = in_parallel(CLIENTS, |who| report_in_all_forms(&server.client(), who, ROUNDS));
    let spooled: usize = reported.iter().map(|(_, spooled)| spooled).sum();
    assert_eq!(
        spooled,
        CLIENTS * ROUNDS * 3,
        "every call says that it went to the spool"
    );
    let ids: Vec<String> = reported.into_iter().flat_map(|(ids, _)| ids).collect();
    assert_eq!(ids.len(), CLIENTS * ROUNDS * 11);

    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(account["spooled"].as_u64() >= Some(ids.len() as u64), "{account}");
    assert_eq!(
        client.get("/api/monitoring/health").expect(200).json()["status"],
        "degraded"
    );
    create(&client, "the other file is well").expect(201);
    client.get(ERRORS).expect(200);

    lock.release();
    let account = await_empty_spool(&client);
    assert!(account["stored"].as_u64() >= Some(ids.len() as u64), "{account}");
    assert_once("events", &ids, &member(&all_events(&client), "id"));
    let (after, spooled) = report_in_all_forms(&client, CLIENTS, 1);
    assert_eq!(spooled, 0, "events.db takes them again");
    assert_once("events", &after, &member(&all_events(&client), "id"));
}

/// What was acknowledged so far.
#[derive(Default)]
struct Acknowledged {
    documents: Mutex<Vec<String>>,
    events: Mutex<Vec<String>>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.documents.lock().expect("not poisoned").len() + self.events.lock().expect("not poisoned").len()
    }

    /// Writes documents and events under markers of its own until the server is gone or refuses.
    fn write_until_refused(&self, client: &Client, who: &str) {
        for number in 0.. {
            let marker = format!("{who} {number}");
            let (path, body, kept) = match number % 2 {
                0 => ("/api/data/notes", json!({ "marker": marker }), &self.documents),
                _ => (ERRORS, event(&marker), &self.events),
            };
            match client.try_send("POST", path, Some(("application/json", body.to_string().as_bytes()))) {
                Some(answer) if answer.status == 201 => kept.lock().expect("not poisoned").push(marker),
                Some(answer) => {
                    assert_eq!(answer.status, 503, "{answer:?}");
                    return;
                }
                None => return,
            }
        }
    }

    #[track_caller]
    fn assert_all_there_once(&self, client: &Client) {
        let documents = member(&all_documents(client, "notes"), "marker");
        assert_once("documents", &self.documents.lock().expect("not poisoned"), &documents);
        let of_ours: Vec<Value> = all_events(client)
            .into_iter()
            .filter(|event| event["source"] == "scenario")
            .collect();
        assert_once(
            "events",
            &self.events.lock().expect("not poisoned"),
            &member(&of_ours, "message"),
        );
    }
}

/// Lets eight clients write until `enough` more were acknowledged, then does `then`, and waits for the clients' end.
fn while_writing(
    server: &mut Server,
    acknowledged: &Acknowledged,
    round: &str,
    enough: usize,
    then: impl FnOnce(&mut Server),
) {
    let before = acknowledged.count();
    std::thread::scope(|scope| {
        for who in 0..8 {
            let client = server.client();
            scope.spawn(move || acknowledged.write_until_refused(&client, &format!("{round} {who}")));
        }
        eventually("enough is acknowledged", || {
            (acknowledged.count() >= before + enough).then_some(())
        });
        then(server);
    });
}

#[test]
fn spooled_events_survive_kill_9_and_a_restart_under_the_lock() {
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    let lock = OtherProcess::hold(&server, "events.db");
    let acknowledged = Acknowledged::default();
    for round in 0..2 {
        while_writing(&mut server, &acknowledged, &round.to_string(), 60, Server::kill);
        server.restart();
    }
    let spooled = stats(&server.client())["ledger"]["spooled"].as_u64();
    assert!(
        spooled >= Some(acknowledged.events.lock().expect("not poisoned").len() as u64),
        "{spooled:?}"
    );
    let more = report_in_all_forms(&server.client(), 0, 2);
    assert_eq!(more.1, 6, "still to the spool");

    lock.release();
    await_empty_spool(&server.client());
    acknowledged.assert_all_there_once(&server.client());
    assert_once("events", &more.0, &member(&all_events(&server.client()), "id"));
}

/// Rocket's grace and mercy, the flush and the closing, as they are bounded.
const GRACE: Duration = Duration::from_secs(10);

#[test]
fn sigterm_under_load_ends_in_order_and_loses_nothing() {
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    let acknowledged = Acknowledged::default();
    while_writing(&mut server, &acknowledged, "load", 200, |server| {
        let began = Instant::now();
        let status = server.stop();
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(began.elapsed() < GRACE, "it took {:?}", began.elapsed());
    });
    let wal = |file: &str| std::fs::metadata(server.data_dir().join(file)).map_or(0, |meta| meta.len());
    assert_eq!((wal("app.db-wal"), wal("events.db-wal")), (0, 0), "checkpointed");
    server.restart();
    acknowledged.assert_all_there_once(&server.client());
}

#[test]
fn fault_31_sigterm_answers_a_write_that_sleeps_between_attempts() {
    // Between the first attempt and the second lie ten seconds less jitter, far past what ending may take.
    let mut server = Server::start(&settings(&[
        ("DB_RETRY_DELAY_MS", "10000"),
        ("DB_OPERATION_TIMEOUT_MS", "60000"),
        ("DB_BREAKER_THRESHOLD", "100"),
    ]));
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let lock = OtherProcess::hold(&server, "app.db");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| create(&server.client(), "sleeps"));
        eventually("the write sleeps", || {
            (stats(&client)["databases"]["app"]["retries"]["attempts"].as_u64() >= Some(1)).then_some(())
        });
        let began = Instant::now();
        server.signal(Signal::TERM);
        let refused = writer.join().expect("answered").expect(503);
        assert_eq!(refused.json()["code"], "shutting_down");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it took {:?}",
            began.elapsed()
        );
    });
    assert_eq!(server.wait().code(), Some(0));
    lock.release();
    server.restart();
    assert!(
        all_documents(&server.client(), "notes").is_empty(),
        "the refused write was not done"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    use std::io::Write;
    let mut server = Server::start(SHORT);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    create(&client, "kept").expect(201);
    // A request that never gets whole keeps the first signal waiting for its grace period.
    let address = server.url("").replace("http://", "");
    let mut stalled = std::net::TcpStream::connect(address).expect("connects");
    let head = "POST /api/data/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n";
    // Rocket waits for the first 512 bytes before it begins.
    stalled
        .write_all(format!("{head}{}", " ".repeat(1000)).as_bytes())
        .expect("sent");
    eventually("it is under way", || {
        (stats(&client)["requests"]["inFlight"].as_u64() >= Some(2)).then_some(())
    });
    server.signal(Signal::TERM);
    eventually("the first signal is heard", || {
        server.log().contains("ending:").then_some(())
    });
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(128 + 15));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        began.elapsed()
    );
    assert!(
        server.log().contains("second signal: ending at once"),
        "its last line too"
    );
    server.restart();
    assert_eq!(member(&all_documents(&server.client(), "notes"), "marker"), ["kept"]);
}
