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
mod mounts;
mod rights;
mod storage_calls;

use std::collections::BTreeSet;
use std::path::Path;

use common::work::{be_the_other_process, stats};
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

/// Sends reports until a time in which no other event came in, Mainstay's own among them: then the ledger has counted
/// exactly those that were refused as lost. `send` says whether its report was refused.
fn assert_every_refusal_is_counted(client: &Client, mut send: impl FnMut() -> bool) {
    const REPORTS: u64 = 5;
    let lost = |account: &Value| -> u64 {
        let reasons = account["dropped"].as_object().expect("reasons");
        reasons.values().filter_map(Value::as_u64).sum()
    };
    let account = || stats(client)["ledger"].clone();
    eventually("reports alone", || {
        let before = account();
        let refused = (0..REPORTS).filter(|_| send()).count() as u64;
        let after = account();
        assert_eq!(after["balanced"], true, "{after}");
        assert!(lost(&after) >= lost(&before) + refused, "{refused}: {before} {after}");
        let came = after["accepted"].as_u64()? - before["accepted"].as_u64()?;
        let alone = came == REPORTS && before["inFlight"] == 0 && after["inFlight"] == 0;
        alone.then(|| assert_eq!(lost(&after), lost(&before) + refused, "{before} {after}"))?;
        (refused > 0).then_some(())
    });
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

/// The faults that functions of this text are named after, as far as they are tests that run: each function's attributes
/// stand on the lines before it.
fn tested(text: &str) -> BTreeSet<usize> {
    let (mut found, mut is_test, mut is_ignored) = (BTreeSet::new(), false, false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= ["#[test]", "#[tokio::test"].iter().any(|mark| line.starts_with(mark));
            is_ignored |= line.starts_with("#[ignore") || line.starts_with("#[cfg");
            continue;
        }
        if line.starts_with("//") {
            continue;
        }
        let name = line.trim_start_matches("pub ").trim_start_matches("async ");
        if let Some(name) = name.strip_prefix("fn fault_").filter(|_| is_test && !is_ignored) {
            found.extend(numbers(name));
        }
        (is_test, is_ignored) = (false, false);
    }
    found
}

#[test]
fn all_33_faults_have_a_test() {
    let mut text = String::new();
    for folder in ["tests", "src"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut text);
    }
    let tested = tested(&text);
    let missing: Vec<_> = (1..=FAULTS).filter(|number| !tested.contains(number)).collect();
    assert!(missing.is_empty(), "faults without a test: {missing:?}");
}

#[test]
fn a_function_that_is_named_after_a_fault_and_does_not_run_is_no_test_of_it() {
    let text = "#[test]\nfn fault_01_and_02_a() {\n}\n    #[tokio::test(flavor = \"x\")]\n    // Why.\n    async fn fault_03_b() {\n}
        fn fault_04_helper() {}\n#[test]\n#[ignore = \"slow\"]\nfn fault_05_c() {}\n#[ignore]\n#[test]\nfn fault_06_d() {}
        #[test]\nfn other() {}\nfn fault_07_e() {}\n// #[test]\nfn fault_08_f() {}";
    assert_eq!(tested(text), BTreeSet::from([1, 2, 3]));
}
