//! The faults to survive, each a test named after its number, `fault_NN_…`: the real thing breaks, and what is expected
//! is checked through the front door where it shows there. Those that need a harness of their own stand in other files
//! under `tests/`, or beside the code they concern; all together are counted here.
//!
//! What must stay true: nothing half-done stays; the rest goes on; what can't be kept is refused, never lost in silence;
//! nothing is re-created empty; recovery needs nobody once the cause is gone.

#[path = "../common/mod.rs"]
mod common;
#[path = "../vfs/mod.rs"]
mod vfs;

mod clients;
mod damage;
mod descriptors;
mod disk;
mod files;
mod library;
mod limits;
mod load;
mod rights;
mod storage_calls;

use std::collections::BTreeSet;
use std::path::Path;

use common::work::be_the_other_process;
use common::{Answer, Client, SHORT, Server, eventually};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
const NOTES: &str = "/api/data/notes";
const FAULTS: usize = 33;

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

#[test]
#[ignore = "the server on breaking storage, which the other tests start"]
fn the_faulty_server() {
    vfs::server::be_the_server();
}

fn started() -> (Server, Client) {
    let server = Server::start(SHORT);
    let client = with_notes(&server);
    (server, client)
}

fn with_notes(server: &Server) -> Client {
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    client
}

/// [`SHORT`] with some settings changed.
fn settings<'a>(changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = SHORT
        .iter()
        .filter(|(name, _)| changed.iter().all(|(other, _)| name != other));
    kept.copied().chain(changed.iter().copied()).collect()
}

fn create(client: &Client, marker: &str) -> Answer {
    create_sized(client, marker, 1000)
}

fn create_sized(client: &Client, marker: &str, bytes: usize) -> Answer {
    client.post(NOTES, &json!({ "marker": marker, "text": "x".repeat(bytes) }))
}

fn report(client: &Client, message: &str) -> Answer {
    client.post(ERRORS, &json!({ "message": message, "source": "faults" }))
}

fn created(client: &Client, markers: impl IntoIterator<Item = String>) -> Vec<String> {
    markers
        .into_iter()
        .inspect(|marker| drop(create(client, marker).expect(201)))
        .collect()
}

/// The ids of events that were reported and accepted.
fn reported(client: &Client, messages: impl IntoIterator<Item = String>) -> Vec<String> {
    let id = |message: String| {
        report(client, &message).expect(201).json()["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    messages.into_iter().map(id).collect()
}

fn numbered(what: &str, count: usize) -> impl Iterator<Item = String> + use<'_> {
    (0..count).map(move |number| format!("{what} {number}"))
}

/// The path of a document, which is there.
fn one_document(client: &Client) -> String {
    let id = create(client, "one").expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    format!("{NOTES}/{id}")
}

/// A problem with status 503 and one of these codes.
#[track_caller]
fn assert_refused(answer: Answer, codes: &[&str]) -> Value {
    let answer = answer.expect(503);
    let body = answer.json();
    assert!(codes.iter().any(|code| body["code"] == *code), "{body}");
    assert!(answer.header("Retry-After").is_some(), "{answer:?}");
    body
}

/// What was refused is called "never…" and must not be among these events.
#[track_caller]
fn assert_nothing_refused(events: &[Value]) {
    let refused = |event: &Value| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("never"))
    };
    assert!(!events.iter().any(refused), "what was refused is not there");
}

fn health(client: &Client) -> Value {
    client.get("/api/monitoring/health").json()
}

/// Waits until a reason in health contains all of these.
fn await_reason(client: &Client, parts: &[&str]) -> String {
    eventually(&format!("health says {parts:?}"), || {
        let seen = health(client);
        let reasons = seen["because"].as_array()?.iter().filter_map(Value::as_str);
        reasons
            .map(str::to_owned)
            .find(|reason| parts.iter().all(|part| reason.contains(part)))
    })
}

fn until_well(client: &Client) {
    eventually("healthy again", || {
        (health(client)["status"] == "healthy").then_some(())
    });
}

fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(&path).expect("text"));
        }
    }
}

/// The numbers in a test's name: `fault_05_and_06_…` is about two.
fn numbers(name: &str) -> impl Iterator<Item = usize> {
    name.split('_')
        .take_while(|part| *part == "and" || part.len() == 2 && part.chars().all(|letter| letter.is_ascii_digit()))
        .filter_map(|part| part.parse().ok())
}

#[test]
fn all_33_faults_have_a_test() {
    let mut text = String::new();
    for folder in ["tests", "src"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut text);
    }
    let tested: BTreeSet<_> = text.split("fn fault_").skip(1).flat_map(numbers).collect();
    let missing: Vec<_> = (1..=FAULTS).filter(|number| !tested.contains(number)).collect();
    assert!(missing.is_empty(), "faults without a test: {missing:?}");
}
