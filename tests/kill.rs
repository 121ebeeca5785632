//! kill -9 at random moments under mixed load: documents that are created and updated, single events and NDJSON batches,
//! while events.db is sometimes locked by another process, so that the spool is in use.
//!
//! What must stay true after each restart: what was acknowledged is there exactly once, what wasn't is there at most once
//! and whole; an update is the acknowledged one or a later one, never an earlier; a creation under a key that was not
//! answered is repeated and has one effect, whether it had been done or not; at the end both files are whole.
//!
//! `MAINSTAY_TEST_KILLS` sets the number of kills (50). The seed of the moments is printed, and taken from
//! `MAINSTAY_TEST_SEED`; what the threads do in between is theirs.

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::work::{
    OtherProcess, all_documents, all_events, assert_once, await_empty_spool, be_the_other_process, member,
};
use common::{Answer, Client, SHORT, Server, eventually};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
/// Events in a batch.
const LINES: usize = 5;
const CREATORS: usize = 3;
const UPDATERS: usize = 2;
const REPORTERS: usize = 2;
const BATCHERS: usize = 1;

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

/// What was acknowledged, and what was sent.
#[derive(Default)]
struct Account {
    documents: Mutex<Vec<String>>,
    events: Mutex<Vec<String>>,
    /// Messages of every event that was sent, acknowledged or not.
    sent: Mutex<BTreeSet<String>>,
    /// Acknowledged steps of each updater's document.
    steps: Mutex<[u64; UPDATERS]>,
    /// Markers of keyed creations that the kill left without an answer.
    unanswered: Mutex<Vec<String>>,
    /// Of these, those that were repeated, and those that turned out to have been done already.
    repeated: Mutex<(usize, usize)>,
}

/// Two of the three creators send a key with each document.
fn is_keyed(creator: usize) -> bool {
    creator < 2
}

fn key(marker: &str) -> String {
    marker.replace(' ', "-")
}

fn document(marker: &str) -> Value {
    json!({ "marker": marker, "again": marker })
}

fn event(message: &str) -> Value {
    json!({ "message": message, "type": "api", "severity": "medium", "source": "kill" })
}

/// A loaded machine may be too slow for the short deadlines: not acknowledged, and whether it was done isn't said.
fn is_refused(answer: &Answer) -> bool {
    answer.status == 503
}

impl Account {
    fn total(&self) -> usize {
        let updates: u64 = self.steps.lock().expect("not poisoned").iter().sum();
        self.documents.lock().expect("not poisoned").len()
            + self.events.lock().expect("not poisoned").len()
            + usize::try_from(updates).expect("a count")
    }

    /// Creates documents of two members that belong together, until the server is gone.
    fn create(&self, client: &Client, collection: &str, who: usize) {
        for number in 0.. {
            let marker = format!("{collection} {who} {number}");
            let body = document(&marker).to_string();
            let path = format!("/api/data/{collection}");
            let client = if is_keyed(who) {
                &client.with("Idempotency-Key", &key(&marker))
            } else {
                client
            };
            match client.try_send("POST", &path, Some(("application/json", body.as_bytes()))) {
                Some(answer) if is_refused(&answer) => continue,
                Some(answer) => drop(answer.expect(201)),
                None if is_keyed(who) => return self.unanswered.lock().expect("not poisoned").push(marker),
                None => return,
            }
            self.documents.lock().expect("not poisoned").push(marker);
        }
    }

    /// Counts up in a document of its own.
    fn update(&self, client: &Client, who: usize) {
        loop {
            let next = self.steps.lock().expect("not poisoned")[who] + 1;
            let body = json!({ "step": next, "twice": next * 2 }).to_string();
            let path = format!("/api/data/steps/updater{who}");
            match client.try_send("PUT", &path, Some(("application/json", body.as_bytes()))) {
                Some(answer) if is_refused(&answer) => continue,
                Some(answer) => assert!(matches!(answer.status, 200 | 201), "{answer:?}"),
                None => return,
            }
            self.steps.lock().expect("not poisoned")[who] = next;
        }
    }

    /// Reports events, `lines` in a call.
    fn report(&self, client: &Client, round: usize, who: &str, lines: usize) {
        for number in 0.. {
            let messages: Vec<_> = (0..lines)
                .map(|line| format!("{round} {who} {number} {line}"))
                .collect();
            self.sent.lock().expect("not poisoned").extend(messages.iter().cloned());
            let body: String = messages.iter().map(|message| format!("{}\n", event(message))).collect();
            let kind = if lines == 1 {
                "application/json"
            } else {
                "application/x-ndjson"
            };
            let Some(answer) = client.try_send("POST", ERRORS, Some((kind, body.as_bytes()))) else {
                return;
            };
            if is_refused(&answer) {
                continue;
            }
            if lines == 1 {
                answer.expect(201);
            } else {
                assert_eq!(answer.expect(200).json()["accepted"], lines);
            }
            self.events.lock().expect("not poisoned").extend(messages);
        }
    }

    /// Everybody at once, until the server is killed after this long and at least one acknowledgement.
    fn load_and_kill(&self, server: &mut Server, round: usize, after: Duration) {
        let collection = format!("round{round}");
        server
            .client()
            .put(&format!("/api/data/{collection}"), &json!({}))
            .expect(201);
        let before = self.total();
        std::thread::scope(|scope| {
            for who in 0..CREATORS {
                let (client, collection) = (server.client(), &collection);
                scope.spawn(move || self.create(&client, collection, who));
            }
            for who in 0..UPDATERS {
                let client = server.client();
                scope.spawn(move || self.update(&client, who));
            }
            for (who, lines) in [(REPORTERS, 1), (BATCHERS, LINES)]
                .into_iter()
                .flat_map(|(n, l)| (0..n).map(move |w| (w, l)))
            {
                let client = server.client();
                scope.spawn(move || self.report(&client, round, &format!("{who}x{lines}"), lines));
            }
            eventually("something is acknowledged", || (self.total() > before).then_some(()));
            std::thread::sleep(after);
            server.kill();
        });
    }

    /// Sends the creations again that the kill left without an answer, and once more; what becomes of them then is that
    /// of every acknowledged one.
    fn repeat_unanswered(&self, client: &Client, round: usize) {
        let path = format!("/api/data/round{round}");
        for marker in std::mem::take(&mut *self.unanswered.lock().expect("not poisoned")) {
            let keyed = client.with("Idempotency-Key", &key(&marker));
            let again = || {
                eventually("it is done", || {
                    Some(keyed.post(&path, &document(&marker))).filter(|answer| !is_refused(answer))
                })
                .expect(201)
            };
            let is_replayed = |answer: &Answer| answer.header("Idempotency-Replayed") == Some("true");
            let (first, second) = (again(), again());
            assert!(is_replayed(&second), "{second:?}");
            assert_eq!(first.text, second.text);
            let mut repeated = self.repeated.lock().expect("not poisoned");
            *repeated = (repeated.0 + 1, repeated.1 + usize::from(is_replayed(&first)));
            self.documents.lock().expect("not poisoned").push(marker);
        }
    }

    fn assert_documents(&self, client: &Client, round: usize) {
        let collection = format!("round{round}");
        let found = all_documents(client, &collection);
        assert!(found.iter().all(|one| one["marker"] == one["again"]), "by half");
        let ours = format!("{collection} ");
        let acknowledged: Vec<_> = self
            .documents
            .lock()
            .expect("not poisoned")
            .iter()
            .filter(|one| one.starts_with(&ours))
            .cloned()
            .collect();
        assert_once("documents", &acknowledged, &member(&found, "marker"));
    }

    /// A later step than the acknowledged one is that of the call that was killed.
    fn assert_updates(&self, client: &Client) {
        for (who, acknowledged) in self.steps.lock().expect("not poisoned").iter_mut().enumerate() {
            let answer = client.get(&format!("/api/data/steps/updater{who}"));
            if *acknowledged == 0 && answer.status == 404 {
                continue;
            }
            let document = answer.expect(200).json();
            let step = document["step"].as_u64().expect("a number");
            assert_eq!(document["twice"], step * 2, "by half: {document}");
            assert!(
                step == *acknowledged || step == *acknowledged + 1,
                "{acknowledged} acknowledged: {document}"
            );
            *acknowledged = step;
        }
    }

    fn assert_events(&self, client: &Client) {
        let found: Vec<_> = all_events(client)
            .into_iter()
            .filter(|event| event["source"] == "kill")
            .collect();
        let messages = member(&found, "message");
        assert_once("events", &self.events.lock().expect("not poisoned"), &messages);
        let sent = self.sent.lock().expect("not poisoned");
        let strange: Vec<_> = messages.iter().filter(|message| !sent.contains(*message)).collect();
        assert!(strange.is_empty(), "events that nobody sent: {strange:?}");
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

#[track_caller]
fn assert_whole(server: &Server, file: &str) {
    let verdict: String = server
        .other_party(file)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(verdict, "ok", "{file}");
}

#[test]
fn fault_32_what_was_acknowledged_survives_kill_9_at_any_moment() {
    let kills = usize::try_from(number_from("MAINSTAY_TEST_KILLS").unwrap_or(50)).expect("a count");
    let seed = number_from("MAINSTAY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/steps", &json!({})).expect(201);
    let account = Account::default();
    let (mut lock, mut under_lock) = (None, 0);
    // The list of events grows; it is paged through some twenty times.
    let rounds_between_looks = (kills / 20).max(5);
    for round in 0..kills {
        // Held over some rounds, so that the spool is killed, found again and killed while it is replayed.
        if random.u8(0..3) == 0 {
            lock = match lock {
                None => Some(OtherProcess::hold(&server, "events.db")),
                Some(held) => {
                    OtherProcess::release(held);
                    None
                }
            };
        }
        under_lock += usize::from(lock.is_some());
        account.load_and_kill(&mut server, round, Duration::from_millis(random.u64(0..250)));
        server.restart();
        let client = server.client();
        account.repeat_unanswered(&client, round);
        account.assert_documents(&client, round);
        account.assert_updates(&client);
        if lock.is_none() && round % rounds_between_looks == 0 {
            await_empty_spool(&client);
            account.assert_events(&client);
        }
    }
    drop(lock);
    let client = server.client();
    await_empty_spool(&client);
    account.assert_events(&client);
    (0..kills).for_each(|round| account.assert_documents(&client, round));
    assert_eq!(server.stop().code(), Some(0));
    ["app.db", "events.db"]
        .iter()
        .for_each(|file| assert_whole(&server, file));
    let (repeated, done_before) = *account.repeated.lock().expect("not poisoned");
    assert!(repeated > 0, "no kill left a keyed creation without an answer");
    println!(
        "{repeated} keyed creations without an answer repeated, {done_before} of them done before, each with one effect"
    );
    println!(
        "{kills} kills, {under_lock} of them with events.db locked, in {:.1} s: {} documents, {} updates and {} events acknowledged, none lost or doubled",
        began.elapsed().as_secs_f64(),
        account.documents.lock().expect("not poisoned").len(),
        account.steps.lock().expect("not poisoned").iter().sum::<u64>(),
        account.events.lock().expect("not poisoned").len(),
    );
}
