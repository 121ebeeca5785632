//! Much more to do than there is room for.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::work::{all_documents, assert_once, in_parallel, member};
use crate::common::{Answer, eventually};
use crate::vfs::server::FaultyServer;
use crate::vfs::{Call, Effect};
use crate::{NOTES, await_reason, create, created, health, numbered, settings, until_well, with_notes};

/// What comes at once, where one at a time is admitted.
const CLIENTS: usize = 40;
const EACH: usize = 25;
/// What each read takes at least: its lock on the snapshot takes that long, whatever the machine.
const STEP: Duration = Duration::from_millis(100);
/// Without a limit on the waits this is what everybody would wait for.
const ALL_IN_A_ROW: Duration = Duration::from_millis(CLIENTS as u64 * 100);

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn fault_26_ten_times_the_load_is_answered_in_bounded_time_or_shed() {
    let mut server = FaultyServer::start(&settings(&[
        ("DB_POOL_MAX", "2"),
        ("DB_POOL_MIN", "1"),
        // Nothing ends because its time is over: what ends early was refused early.
        ("DB_OPERATION_TIMEOUT_MS", "30000"),
        ("DB_CONNECT_TIMEOUT", "30"),
    ]));
    let client = with_notes(&server);
    let one = json!({ "database": "app", "limit": 1, "max": 1, "min": 1, "adaptive": false });
    client.post("/api/monitoring/pool", &one).expect(200);
    let mut documents = created(&client, numbered("before", 20));
    let delay = Effect::Delays(STEP.as_millis() as u64);
    let slow = server.lasting(&[Call::ShmLock], "app.db", delay);
    let answers = in_parallel(CLIENTS, |who| {
        let client = server.client();
        let timed = |number| {
            let marker = format!("load {who} {number}");
            let began = Instant::now();
            let answer = match number % 5 {
                0 => create(&client, &marker),
                _ => client.get(&format!("{NOTES}?limit=5")),
            };
            (marker, answer, began.elapsed())
        };
        (0..EACH).map(timed).collect::<Vec<_>>()
    })
    .concat();
    assert!(server.lift(slow).1 > 0, "it was slow");
    assert_bounded(&answers);
    await_reason(
        &client,
        &[
            "app: ",
            " reads were turned away within the last minute: ",
            " of 1 readers busy",
        ],
    );
    assert_eq!(health(&client)["status"], "degraded", "it works, but not for everybody");
    let written = answers.into_iter().filter(|(_, answer, _)| answer.status == 201);
    documents.extend(written.map(|(marker, ..)| marker));
    until_well(&client);
    eventually("it is served again", || (client.get(NOTES).status == 200).then_some(()));
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
}

/// Some are served, soon; the others are told soon, and when to come back.
fn assert_bounded(answers: &[(String, Answer, Duration)]) {
    let times = |of: &dyn Fn(u16) -> bool| -> Vec<Duration> {
        let some = answers.iter().filter(|(_, answer, _)| of(answer.status));
        some.map(|(.., took)| *took).collect()
    };
    let (mut reads, mut refusals) = (times(&|status| status == 200), times(&|status| status == 503));
    for (_, answer, _) in answers {
        assert!(matches!(answer.status, 200 | 201 | 503), "{answer:?}");
        assert!(
            answer.status != 503 || answer.header("Retry-After").is_some(),
            "{answer:?}"
        );
    }
    assert!(!reads.is_empty(), "some are served");
    assert!(!refusals.is_empty(), "some are shed");
    let (read, refusal) = (median(&mut reads), median(&mut refusals));
    let p99 = reads[reads.len() * 99 / 100];
    println!(
        "{} reads admitted, p50 {read:?}, p99 {p99:?}; {} shed, p50 {refusal:?}",
        reads.len(),
        refusals.len()
    );
    assert!(p99 < ALL_IN_A_ROW, "{p99:?}");
    assert!(refusal < ALL_IN_A_ROW / 2, "{refusal:?}");
    // Who is refused has waited a usual step at most, who is served at least for a step of its own.
    assert!(refusal < read * 3, "{refusal:?}, {read:?}");
}
