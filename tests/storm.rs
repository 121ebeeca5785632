//! Floods of events through the front door: storms of a group, sources beyond their limit, and the account of it all.

mod common;

use common::source::{key, with_source};
use common::work::{OtherProcess, all_events, await_empty_spool, be_the_other_process, stats};
use common::{Client, Server, eventually, mainstay};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
const PER_GROUP: &str = "MAINSTAY_INGEST_PER_GROUP_PER_MINUTE";
const PER_SOURCE: &str = "MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE";

/// Everything that was acknowledged is present or has left, in occurrences, and every number that is derived says so.
fn assert_accounted(server: &Server, acknowledged: u64) {
    let file = server.other_party("events.db");
    let count = |sql: &str| -> u64 {
        let count: i64 = file.query_row(sql, [], |row| row.get(0)).expect(sql);
        count.unsigned_abs()
    };
    let present = count("SELECT coalesce(sum(occurrences), 0) FROM events");
    let left = count("SELECT coalesce(sum(events), 0) FROM retention_removed")
        + count("SELECT coalesce(sum(json_extract(tally, '$.events')), 0) FROM purges");
    assert_eq!(present + left, acknowledged, "present {present}, left {left}");
    assert_eq!(count("SELECT coalesce(sum(count), 0) FROM event_totals"), present);
    assert_eq!(count("SELECT coalesce(sum(count), 0) FROM event_hours"), present);
    assert_eq!(
        count("SELECT sum(count) FROM groups WHERE parent IS NULL"),
        acknowledged
    );
    assert_eq!(count("SELECT sum(removed) FROM groups"), left);
}

#[test]
fn what_was_acknowledged_is_present_or_has_left_also_of_storms_that_are_pruned_and_killed() {
    let mut server = Server::start(&[
        ("MAINSTAY_INGEST_PER_GROUP_PER_MINUTE", "50"),
        ("MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE", "1000000"),
        ("MAINSTAY_EVENTS_MAX_COUNT", "300"),
    ]);
    let mut acknowledged = 0;
    for round in 0..4 {
        let client = server.client();
        for report in 0..6 {
            let line = |number: usize| {
                let severity = ["low", "high"][number % 2];
                json!({ "message": format!("round {round} part {report}"), "fingerprint": [(number % 3).to_string()],
                        "severity": severity, "source": "shop" })
                .to_string()
            };
            let lines: Vec<String> = (0..2000).map(line).collect();
            let body = lines.join("\n");
            let answer = client
                .send(
                    "POST",
                    "/api/monitoring/errors",
                    Some(("application/x-ndjson", body.as_bytes())),
                )
                .expect(200)
                .json();
            assert_eq!(answer["accepted"], 2000, "{answer}");
            acknowledged += 2000;
        }
        if round == 2 {
            let removed = client.delete("/api/monitoring/errors?severity=low");
            assert!(matches!(removed.status, 200 | 202), "{removed:?}");
        }
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        server.restart();
    }
    let client = server.client();
    eventually("it is within its count, and the purge is over", || {
        let shown = client.get("/api/monitoring/retention").expect(200).json();
        let purges = client.get("/api/monitoring/purges").expect(200).json();
        let is_over = purges["purges"][0]["status"] != "running" && shown["use"]["events"].as_u64() <= Some(300);
        (is_over && shown["running"] == false).then_some(())
    });
    server.stop();
    assert_accounted(&server, acknowledged);
}

#[test]
#[ignore = "not a test: the process that holds a lock"]
fn the_other_process() {
    be_the_other_process();
}

fn slow_queries(count: usize) -> Vec<Value> {
    let event = |number| json!({ "message": format!("slow query {number}"), "source": "shop", "release": "1.4" });
    (0..count).map(event).collect()
}

fn report(client: &Client, events: &[Value]) -> Value {
    client.post(ERRORS, &json!(events)).expect(200).json()
}

fn of_group(client: &Client) -> Value {
    let groups = client.get("/api/monitoring/groups?q=slow").expect(200).json();
    groups["groups"][0].clone()
}

#[test]
fn a_storm_of_one_error_is_a_count_and_samples() {
    let server = Server::start(&[(PER_GROUP, "50")]);
    let client = server.client();
    for batch in slow_queries(3000).chunks(500) {
        assert_eq!(report(&client, batch)["accepted"], 500);
    }
    // One more, told what became of it.
    let one = client.post(ERRORS, &slow_queries(1)[0]).expect(201);
    let (id, sample) = (one.json()["id"].clone(), one.json()["sampleId"].clone());
    assert_eq!(one.json()["sampled"], true, "{one:?}");
    let found = client.get(one.header("Location").expect("a place")).expect(200).json();
    assert_eq!((&found["id"], &found["standsFor"]), (&sample, &id));
    assert!(found["occurrences"].as_u64() > Some(1), "{found:#}");
    // Sent again it is known, and counted once.
    let again = json!({ "id": id, "message": "slow query 0", "source": "shop", "release": "1.4" });
    assert_eq!(client.post(ERRORS, &again).expect(200).json()["standsFor"], id);

    let rows = all_events(&client);
    let ours: Vec<&Value> = rows.iter().filter(|row| row["source"] == "shop").collect();
    let occurrences: u64 = ours.iter().filter_map(|row| row["occurrences"].as_u64()).sum();
    assert_eq!(occurrences, 3001);
    assert!(ours.len() < 200, "{} rows", ours.len());
    let group = of_group(&client);
    assert_eq!(group["count"], 3001);
    let trend: u64 = group["trend"]
        .as_array()
        .expect("hours")
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(trend, 3001);
    for filter in ["source=shop", "release=1.4&since=1h", "q=source:shop"] {
        let page = client
            .get(&format!("{ERRORS}?limit=1&count=true&{filter}"))
            .expect(200)
            .json();
        assert_eq!(page["total"], 3001, "{filter}");
    }
    let seen = stats(&client);
    let ledger = &seen["ledger"];
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["stored"].as_u64(), seen["errors"]["total"].as_u64(), "{seen:#}");
    assert_eq!(ledger["counted"].as_u64(), Some(3001 - ours.len() as u64), "{ledger}");
}

#[test]
fn what_a_sample_need_not_share_is_counted_by_rows_and_said_to_be_a_lower_bound() {
    let server = Server::start(&[(PER_GROUP, "50")]);
    let client = server.client();
    let event = |number: usize| {
        json!({ "message": "card refused", "userId": number, "path": format!("/p{number}"), "source": "shop",
                "tags": { "shop": number.to_string() } })
    };
    let events: Vec<Value> = (0..400).map(event).collect();
    report(&client, &events);
    let rows = all_events(&client);
    let sample = rows
        .iter()
        .find(|row| row["occurrences"].as_u64() > Some(1))
        .expect("a sample");
    let user = sample["userId"].as_u64().expect("a user");
    let hidden = (0..400)
        .find(|number| rows.iter().all(|row| row["userId"] != json!(number)))
        .expect("counted only");
    let count = |filter: &str| {
        let page = client
            .get(&format!("{ERRORS}?limit=1&count=true&histogram=true&{filter}"))
            .expect(200)
            .json();
        let buckets = page["histogram"]["buckets"].as_array().expect("buckets").clone();
        let by_time: u64 = buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).sum();
        assert_eq!(page["total"].as_u64(), Some(by_time), "{filter}");
        (by_time, page["totalIsAtLeast"] == true)
    };
    for filter in [
        format!("userId={user}"),
        format!("tag.shop={user}"),
        format!("path=/p{user}"),
        format!(
            "userId={user}&source=shop&group={}",
            sample["groupId"].as_str().expect("a group")
        ),
    ] {
        assert_eq!(count(&filter), (1, true), "{filter}");
    }
    assert_eq!(count(&format!("userId={hidden}")), (0, true));
    assert_eq!(
        count("q=refused"),
        (rows.iter().filter(|row| row["source"] == "shop").count() as u64, true)
    );
    // Of this nothing can be counted on a sample.
    assert_eq!(count("userId=1&source=other"), (0, false));
    assert_eq!(count("userId=1&until=2h"), (0, false));
    assert_eq!(count("source=shop"), (400, false));

    // A removal takes the sample with what was counted on it, and says so.
    let occurrences = sample["occurrences"].as_u64().expect("a count");
    let preview = client
        .delete(&format!("{ERRORS}?userId={user}&dryRun=true"))
        .expect(200)
        .json();
    let receipt = client.delete(&format!("{ERRORS}?userId={user}")).expect(200).json();
    for told in [&preview, &receipt] {
        assert_eq!(
            (&told["events"], &told["countedOnSamples"]),
            (&json!(occurrences), &json!(occurrences - 1))
        );
    }
    let group = client
        .get(&format!(
            "/api/monitoring/groups/{}",
            sample["groupId"].as_str().expect("a group")
        ))
        .expect(200)
        .json();
    assert_eq!(
        (&group["count"], &group["kept"]),
        (&json!(400), &json!(400 - occurrences))
    );
}

#[test]
fn a_storm_is_told_once_and_shown_on_its_group() {
    let server = Server::start(&[(PER_GROUP, "50")]);
    let client = server.client();
    report(&client, &slow_queries(500));
    let id = of_group(&client)["id"].as_str().expect("an id").to_owned();
    let storms = stats(&client)["storms"].clone();
    assert_eq!(storms[0]["groupId"], id.as_str(), "{storms}");
    let group = client.get(&format!("/api/monitoring/groups/{id}")).expect(200).json();
    assert_eq!(group["storm"]["since"], storms[0]["since"], "{group:#}");
    let told = || {
        let mut events = all_events(&client);
        events.retain(|event| event["details"]["storm"]["groupId"] == id.as_str());
        events
    };
    eventually("the storm is told", || (!told().is_empty()).then_some(()));
    report(&client, &slow_queries(500));
    let told = told();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["details"]["state"], "began");
}

#[test]
fn a_storm_while_events_db_is_locked_is_thinned_when_it_comes_back() {
    let mut server = Server::start(&[
        (PER_GROUP, "50"),
        ("DB_LOCK_TIMEOUT_MS", "50"),
        ("DB_BREAKER_TIMEOUT_MS", "100"),
    ]);
    let client = server.client();
    let other = OtherProcess::hold(&server, "events.db");
    let answer = report(&client, &slow_queries(1000));
    assert_eq!(
        (&answer["accepted"], &answer["stored"]),
        (&1000.into(), &"spool".into())
    );
    let last = answer["results"][999]["id"].as_str().expect("an id").to_owned();
    // Killed with all of it in the spool: the next process finds it there.
    server.kill();
    server.restart();
    let client = server.client();
    assert!(stats(&client)["ledger"]["spooled"].as_u64() >= Some(1000));
    other.release();
    let ledger = await_empty_spool(&client);
    assert!(ledger["counted"].as_u64() > Some(800), "{ledger}");
    assert_eq!(of_group(&client)["count"], 1000);
    let found = client.get(&format!("{ERRORS}/{last}")).expect(200).json();
    assert_eq!(found["groupId"], of_group(&client)["id"]);
}

#[test]
fn a_source_beyond_its_limit_is_refused_and_counted() {
    // So few that none comes back while the test runs.
    let server = Server::start(&[(PER_SOURCE, "5")]);
    let client = server.client();
    let answer = report(&client, &slow_queries(50));
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&5.into(), &45.into()));
    assert_eq!(answer["results"][49]["reason"], "rateLimited");
    assert!(answer["retryAfter"].as_u64() > Some(0), "{answer}");
    let refused = client.post(ERRORS, &slow_queries(1)[0]).expect(429);
    assert_eq!(refused.json()["code"], "rate_limited");
    assert_eq!(refused.header("RateLimit-Policy"), Some("\"ingest\";q=5;w=60"));
    let left = refused.header("RateLimit").expect("told");
    assert!(left.starts_with("\"ingest\";r=0;t="), "{left}");
    let seconds: u64 = refused.header("Retry-After").expect("told").parse().expect("seconds");
    assert!((1..=60).contains(&seconds));
    client.post(ERRORS, &json!(slow_queries(3))).expect(429);
    // Another source has its own.
    client
        .post(ERRORS, &json!({ "message": "m", "source": "web" }))
        .expect(201);
    let seen = stats(&client);
    assert_eq!(seen["rateLimited"], json!({ "shop": 49 }), "{seen:#}");
    let ledger = &seen["ledger"];
    assert_eq!(
        (&ledger["dropped"]["rateLimited"], &ledger["balanced"]),
        (&49.into(), &true.into())
    );
    // Whoever was refused was told; nothing was lost.
    let alerts = client.get("/api/monitoring/alerts").expect(200).text;
    assert!(!alerts.contains("event-loss"), "{alerts}");
}

#[test]
fn an_sdk_beyond_its_sources_limit_is_told_in_its_own_way() {
    let (server, client, dsn) = with_source(&[(PER_SOURCE, "5")]);
    let client = client.with(
        "X-Sentry-Auth",
        &format!("Sentry sentry_key={}, sentry_version=7", key(&dsn)),
    );
    let event = json!({ "message": "from an SDK" });
    for _ in 0..5 {
        client.post("/api/1/store/", &event).expect(200);
    }
    let refused = client.post("/api/1/store/", &event).expect(429);
    assert_eq!(refused.header("Retry-After"), Some("60"));
    assert_eq!(refused.header("X-Sentry-Rate-Limits"), Some("60:error:project:quota"));
    assert_eq!(stats(&server.client())["rateLimited"], json!({ "shop": 1 }));
}

#[test]
fn a_source_may_have_a_limit_of_its_own() {
    let (server, _, _) = with_source(&[(PER_SOURCE, "5")]);
    let create = |limit: &str| {
        let arguments = ["source", "create", "busy", "--limit", limit];
        mainstay(server.folder()).args(arguments).output().expect("runs")
    };
    assert!(!create("0").status.success());
    let made = create("7");
    let dsn = String::from_utf8(made.stdout).expect("text");
    let auth = format!("Sentry sentry_key={}, sentry_version=7", key(dsn.trim()));
    let client = server.client().with("X-Sentry-Auth", &auth);
    let send = || client.post("/api/2/store/", &json!({ "message": "m" })).status;
    eventually("the new source is known", || (send() == 200).then_some(()));
    assert_eq!((1..7).filter(|_| send() == 200).count(), 6);
    assert_eq!(send(), 429);
}

#[test]
fn captured_events_survive_an_end_while_events_db_is_locked() {
    let mut server = Server::start(&[("DB_LOCK_TIMEOUT_MS", "800"), ("DB_RETRY_DELAY_MS", "1")]);
    let client = server.client();
    let note = json!({ "title": "tea" });
    client.put("/api/data/notes", &json!({})).expect(201);
    let ours = OtherProcess::hold(&server, "app.db");
    eventually("refused at once", || {
        let told = client.get("/api/monitoring/circuit-breaker").text;
        client.post("/api/data/notes", &note).expect(503);
        told.contains("\"OPEN\"").then_some(())
    });
    let theirs = OtherProcess::hold(&server, "events.db");
    let accepted = || stats(&client)["ledger"]["accepted"].as_u64().expect("a count");
    let before = accepted();
    for _ in 0..600 {
        client.post("/api/data/notes", &note).expect(503);
    }
    let captured = accepted() - before;
    assert!(captured >= 600, "each refusal is an event: {captured}");
    server.stop();
    server.restart();
    let client = server.client();
    let spooled = stats(&client)["ledger"]["spooled"].as_u64().expect("a count");
    assert!(spooled >= captured, "{spooled} of {captured} are in the spool");
    ours.release();
    theirs.release();
    await_empty_spool(&client);
}

#[test]
fn limits_that_make_no_sense_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = mainstay(folder.path())
        .args(["serve"])
        .envs([(PER_SOURCE, "0"), (PER_GROUP, "10/s"), ("ROCKET_PORT", "0")])
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for expected in [PER_SOURCE, PER_GROUP, "a whole number of events from 1 to 1000000000"] {
        assert!(told.contains(expected), "{told}");
    }
}
