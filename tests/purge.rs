//! Removing events on purpose, at the front door of the real binary: previews, receipts, erasures, and kills in between.

mod common;

use std::time::{Duration, Instant};

use common::{Client, Server, eventually, mainstay};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
const PURGES: &str = "/api/monitoring/purges";

fn report(client: &Client, event: &Value) -> Value {
    client.post(ERRORS, event).expect(201).json()
}

/// Reports so many events of this source, each with a word that its group has.
fn report_many(client: &Client, source: &str, count: usize) {
    const AT_ONCE: usize = 5000;
    for first in (0..count).step_by(AT_ONCE) {
        let line = |number: usize| {
            let severity = ["low", "high"][number % 2];
            json!({ "message": format!("job {number} failed"), "source": source, "severity": severity,
                    "userId": number % 50, "fingerprint": [(number % 40).to_string()] })
            .to_string()
        };
        let lines: Vec<String> = (first..count.min(first + AT_ONCE)).map(line).collect();
        let body = ("application/x-ndjson", lines.join("\n"));
        client
            .send("POST", ERRORS, Some((body.0, body.1.as_bytes())))
            .expect(200);
    }
}

fn total(client: &Client, query: &str) -> u64 {
    let page = client
        .get(&format!("{ERRORS}?limit=1&count=true&{query}"))
        .expect(200)
        .json();
    assert!(page["totalIsAtLeast"].is_null(), "{page}");
    page["total"].as_u64().expect("a total")
}

fn purge(client: &Client, query: &str) -> Value {
    let answer = client.delete(&format!("{ERRORS}?{query}"));
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    ended(client, &answer.json()["id"])
}

/// The receipt, once the removal is at its end.
fn ended(client: &Client, id: &Value) -> Value {
    eventually("the end of the removal", || {
        let receipt = client.get(&format!("{PURGES}/{id}")).expect(200).json();
        (receipt["status"] != "running").then_some(receipt)
    })
}

/// What previews and receipts count alike.
fn counts(counted: &Value) -> Value {
    ["events", "bytes", "byType", "bySeverity", "oldest", "newest", "groups"]
        .iter()
        .map(|name| ((*name).to_owned(), counted[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn what_a_preview_counts_leaves_and_what_comes_meanwhile_stays() {
    let server = Server::start(&[]);
    let client = server.client();
    report_many(&client, "shop", 300);
    report_many(&client, "other", 30);
    let seen = client
        .delete(&format!("{ERRORS}?source=shop&severity=low&dryRun=true"))
        .expect(200)
        .json();
    assert_eq!(
        (&seen["dryRun"], &seen["events"], &seen["groups"]),
        (&json!(true), &json!(150), &json!(20))
    );
    assert_eq!(
        (&seen["bySeverity"]["low"], &seen["bySeverity"]["high"]),
        (&json!(150), &json!(0))
    );
    assert_eq!(total(&client, ""), 330, "a preview changes nothing");
    let late = report(
        &client,
        &json!({ "message": "late", "source": "shop", "severity": "low" }),
    );
    let confirm = seen["confirm"].as_str().expect("a token");
    let confirmed = format!("source=shop&severity=low&reason=noise&confirm={confirm}");
    let receipt = purge(&client, &confirmed);
    assert_eq!(counts(&receipt), counts(&seen));
    assert_eq!((&receipt["status"], &receipt["by"]), (&json!("done"), &json!("local")));
    assert_eq!(
        (&receipt["kind"], &receipt["reason"]),
        (&json!("purge"), &json!("noise"))
    );
    assert_eq!(receipt["filter"], json!({ "source": "shop", "severity": "low" }));
    assert!(
        receipt["durationMs"].is_u64() && receipt["error"].is_null(),
        "{receipt}"
    );
    assert_eq!(
        purge(&client, &confirmed)["id"],
        receipt["id"],
        "the same again is the same removal"
    );
    client
        .get(&format!("{ERRORS}/{}", late["id"].as_str().expect("an id")))
        .expect(200);
    assert_eq!(
        (total(&client, "source=shop"), total(&client, "severity=low")),
        (151, 16)
    );
    assert_eq!(total(&client, "q=job"), 180, "the text index follows");

    let stats = client.get("/api/monitoring/stats").expect(200).json();
    assert_eq!(
        (&stats["errors"]["total"], &stats["errors"]["bySeverity"]["low"]),
        (&json!(181), &json!(16))
    );
    let groups = client
        .get("/api/monitoring/groups?source=shop&limit=500")
        .expect(200)
        .json();
    let groups = groups["groups"].as_array().expect("groups");
    assert_eq!(
        groups.len(),
        21,
        "those without events, which nobody touched, went too: {receipt}"
    );
    assert_eq!(receipt["groupsRemoved"], 20);
    let sum = |member: &str| groups.iter().filter_map(|group| group[member].as_u64()).sum::<u64>();
    assert_eq!((sum("kept"), sum("count")), (151, 151));
    let listed = client.get(&format!("{PURGES}?limit=1")).expect(200).json();
    assert_eq!(
        (&listed["purges"][0]["id"], listed["nextCursor"].is_string()),
        (&receipt["id"], true)
    );
}

#[test]
fn what_a_preview_did_not_see_does_not_leave_when_it_is_confirmed() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = |word: &str| json!({ "message": word, "fingerprint": [word], "source": "shop" });
    let words = ["alpha", "beta", "gamma"];
    let groups = words.map(|word| {
        report(&client, &event(word))["groupId"]
            .as_str()
            .expect("a group")
            .to_owned()
    });
    let act = |group: &str, action: &str, body: Value| {
        let path = format!("/api/monitoring/groups/{group}/{action}");
        client.post(&path, &body).expect(200).json()
    };
    let preview = |filter: &str| {
        let seen = client
            .delete(&format!("{ERRORS}?{filter}&dryRun=true"))
            .expect(200)
            .json();
        let confirm = seen["confirm"].as_str().expect("a token").to_owned();
        (
            seen["events"].as_u64().expect("a count"),
            format!("{filter}&confirm={confirm}"),
        )
    };
    let refused = |confirmed: &str| {
        let problem = client.delete(&format!("{ERRORS}?{confirmed}")).expect(422).json();
        assert_eq!(problem["errors"][0]["pointer"], "confirm", "{problem}");
        let detail = problem["errors"][0]["detail"].as_str().expect("a detail");
        assert!(detail.contains("preview again"), "{problem}");
    };

    // A group that is resolved meanwhile.
    act(&groups[0], "resolve", json!({}));
    for filter in ["status=resolved", "q=is:resolved%20source:shop"] {
        let (events, confirmed) = preview(filter);
        assert_eq!(events, 1);
        act(&groups[1], "resolve", json!({}));
        refused(&confirmed);
        act(&groups[1], "reopen", json!({}));
    }
    // One that is united with it.
    let (events, confirmed) = preview(&format!("group={}", groups[0]));
    assert_eq!(events, 1);
    let merged = act(&groups[0], "merge", json!({ "ids": [groups[1]] }));
    refused(&confirmed);
    let (events, whole) = preview(&format!("group={}", groups[1]));
    assert_eq!(events, 2);
    act(&groups[0], "undo", json!({ "change": merged["change"] }));
    refused(&whole);
    // A mute that ends.
    let until = "1s";
    act(&groups[2], "mute", json!({ "until": until }));
    let (_, muted) = preview("status=muted");
    eventually("the end of the mute", || {
        let group = client
            .get(&format!("/api/monitoring/groups/{}", groups[2]))
            .expect(200)
            .json();
        (group["status"] == "unresolved").then_some(())
    });
    refused(&muted);
    assert_eq!(total(&client, "source=shop"), 3, "nothing left so far");

    // What comes meanwhile, in new groups too, is no change: it stays.
    let (events, confirmed) = preview("status=unresolved");
    assert_eq!(events, 3);
    report(&client, &event("alpha"));
    report(&client, &event("delta"));
    let receipt = purge(&client, &confirmed);
    assert_eq!((&receipt["status"], &receipt["events"]), (&json!("done"), &json!(3)));
    assert_eq!(total(&client, "source=shop"), 2);
    assert_eq!(
        purge(&client, &confirmed)["id"],
        receipt["id"],
        "although its groups are gone"
    );
}

#[test]
fn nothing_leaves_by_accident() {
    let server = Server::start(&[]);
    let client = server.client();
    report(&client, &json!({ "message": "m" }));
    let refused = client.delete(ERRORS).expect(422).json();
    assert!(
        refused["detail"]
            .as_str()
            .is_some_and(|detail| detail.starts_with("A removal needs a filter"))
    );
    assert!(
        refused["errors"][0]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("all=true")),
        "{refused}"
    );
    for (query, status) in [
        ("sorce=x", 400),
        ("limit=5&source=x", 400),
        ("severity=fatal", 400),
        ("q=path:", 400),
        ("all=yes", 400),
        ("all=true&type=api", 422),
        ("source=x&confirm=0", 422),
        ("source=x&confirm=0&dryRun=true", 400),
    ] {
        client.delete(&format!("{ERRORS}?{query}")).expect(status);
    }
    for path in [format!("{PURGES}/0"), format!("{PURGES}/x"), format!("{PURGES}?page=1")] {
        client.get(&path).expect(400);
    }
    client.get(&format!("{PURGES}/7")).expect(404);
    client.send("POST", &format!("{PURGES}/7/cancel"), None).expect(404);
    for body in [
        json!({}),
        json!({ "userId": 1, "all": true }),
        json!([]),
        json!({ "userId": null }),
    ] {
        client.post("/api/monitoring/erasures", &body).expect(422);
    }
    let twice = Some(("application/json", &br#"{"userId":1,"userId":2}"#[..]));
    client.send("POST", "/api/monitoring/erasures", twice).expect(422);
    assert_eq!(total(&client, ""), 1);
    assert_eq!(purge(&client, "all=true")["events"], 1);
    assert_eq!(total(&client, ""), 0);
}

#[test]
fn removing_needs_the_scope_admin_and_reading_receipts_does_not() {
    let server = Server::start(&[]);
    let token = |scope: &str| {
        let made = mainstay(server.folder())
            .args(["token", "create", "--scope", scope, "--name", scope])
            .output();
        let told = String::from_utf8(made.expect("runs").stdout).expect("text");
        assert!(!told.is_empty(), "{scope}");
        server
            .client()
            .with("Authorization", &format!("Bearer {}", told.trim()))
    };
    let (admin, writer) = (token("admin"), token("monitor:write"));
    eventually("the tokens are noticed", || {
        let open = server.client().get(PURGES).status;
        (open == 401 && writer.get(PURGES).status == 200).then_some(())
    });
    let event = report(&admin, &json!({ "message": "m", "userId": 4 }));
    let one = format!("{ERRORS}/{}", event["id"].as_str().expect("an id"));
    for refused in [
        writer.delete(&format!("{ERRORS}?all=true")),
        writer.delete(&format!("{ERRORS}?all=true&dryRun=true")),
        writer.delete(&one),
        writer.post("/api/monitoring/erasures", &json!({ "userId": 4 })),
        writer.send("POST", &format!("{PURGES}/1/cancel"), None),
    ] {
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (403, &json!("forbidden")),
            "{refused:?}"
        );
    }
    let receipt = admin.delete(&one).expect(200).json();
    assert_eq!(
        (&receipt["kind"], &receipt["events"], &receipt["by"]),
        (&json!("one"), &json!(1), &json!("admin"))
    );
    admin.delete(&one).expect(404);
    admin.get(&one).expect(404);
    admin.delete(&format!("{ERRORS}/17")).expect(400);
    assert_eq!(
        writer.get(&format!("{PURGES}/{}", receipt["id"])).expect(200).json(),
        receipt
    );
}

#[test]
fn a_group_that_somebody_touched_outlives_its_events_and_comes_back() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = json!({ "message": "card refused", "source": "shop", "fingerprint": ["card"] });
    let group = report(&client, &event)["groupId"].as_str().expect("a group").to_owned();
    client
        .post(&format!("/api/monitoring/groups/{group}/resolve"), &json!({}))
        .expect(200);
    let receipt = purge(&client, "source=shop");
    assert_eq!(
        (&receipt["events"], &receipt["groups"], &receipt["groupsRemoved"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let empty = client
        .get(&format!("/api/monitoring/groups/{group}"))
        .expect(200)
        .json();
    assert_eq!(
        (&empty["count"], &empty["kept"], &empty["samples"]),
        (&json!(1), &json!(0), &json!([]))
    );
    let stats = client.get("/api/monitoring/stats").expect(200).json();
    assert_eq!(
        stats["errors"]["topGroups"],
        json!([]),
        "what has no events is no top group"
    );
    assert_eq!(report(&client, &event)["groupId"], json!(group));
    let back = client
        .get(&format!("/api/monitoring/groups/{group}"))
        .expect(200)
        .json();
    assert_eq!(
        (&back["regressed"], &back["count"], &back["kept"]),
        (&json!(true), &json!(2), &json!(1))
    );
}

/// Whether these bytes stand in the event database, its log or its spool.
fn on_disk(server: &Server, wanted: &str) -> bool {
    let has = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    };
    let spool = std::fs::read_dir(server.data_dir().join("spool"))
        .into_iter()
        .flatten()
        .flatten();
    let spool: Vec<_> = spool.map(|entry| entry.path()).collect();
    let files = ["events.db", "events.db-wal"].map(|name| server.data_dir().join(name));
    files.iter().chain(&spool).any(|path| has(path))
}

#[test]
fn nothing_is_left_of_an_erased_user_and_nothing_comes_back() {
    let server = Server::start(&[]);
    let client = server.client();
    let (user, word) = ("qzperson4711", "qzxvsecret");
    let event = |user: &str, word: &str| {
        json!({ "message": format!("the card of {word} was refused"), "userId": user, "release": "1.0",
                "details": { "note": format!("{word} ").repeat(2000) }, "fingerprint": ["card"] })
    };
    // The first event of a group gives it its title, which is not looked into.
    let other = report(&client, &event("somebody", "else"))["groupId"]
        .as_str()
        .expect("a group")
        .to_owned();
    let ids: Vec<Value> = (0..20)
        .map(|_| report(&client, &event(user, word))["id"].clone())
        .collect();
    assert_eq!(total(&client, &format!("q={word}")), 20);
    assert!(
        on_disk(&server, word) && on_disk(&server, user),
        "or the test could not fail"
    );
    // Some left already, when nobody thought of overwriting free pages.
    client
        .delete(&format!("{ERRORS}/{}", ids[0].as_str().expect("an id")))
        .expect(200);

    let erasures = "/api/monitoring/erasures";
    let seen = client
        .post(erasures, &json!({ "userId": user, "dryRun": true }))
        .expect(200)
        .json();
    assert_eq!((&seen["events"], &seen["groups"]), (&json!(19), &json!(1)));
    let begun = client.post(erasures, &json!({ "userId": user, "reason": "asked for" }));
    assert!(matches!(begun.status, 200 | 202), "{begun:?}");
    let receipt = ended(&client, &begun.json()["id"]);
    assert_eq!(
        (&receipt["status"], &receipt["kind"]),
        (&json!("done"), &json!("erasure"))
    );
    assert_eq!(counts(&receipt), counts(&seen));
    assert!(
        receipt["error"].is_null() && !receipt.to_string().contains(user),
        "{receipt}"
    );
    assert!(!on_disk(&server, word), "its words");
    assert!(!on_disk(&server, user), "its name");
    assert_eq!(
        (
            total(&client, &format!("userId={user}")),
            total(&client, &format!("q={word}"))
        ),
        (0, 0)
    );
    let group = client
        .get(&format!("/api/monitoring/groups/{other}"))
        .expect(200)
        .json();
    assert_eq!(
        (&group["usersAffected"], &group["count"], &group["kept"]),
        (&json!(1), &json!(21), &json!(1))
    );

    // What is older is not taken in again, under its old id or another; what happens from now on is.
    let mut old = event(user, word);
    old["timestamp"] = json!("2025-01-01T00:00:00Z");
    client.post(ERRORS, &old).expect(200);
    old["id"] = ids[3].clone();
    client.post(ERRORS, &old).expect(200);
    assert_eq!(total(&client, &format!("userId={user}")), 0);
    report(&client, &event(user, "afterwards"));
    assert_eq!(total(&client, &format!("userId={user}")), 1);
    let ledger = &client.get("/api/monitoring/stats").expect(200).json()["ledger"];
    assert_eq!(ledger["balanced"], true, "{ledger}");
}

#[test]
fn what_waits_in_the_spool_is_erased_when_it_comes_out() {
    let mut server = Server::start(common::SHORT);
    let client = server.client();
    report(&client, &json!({ "message": "m", "userId": "qzgone" }));
    let lock = server.hold_write_lock("events.db");
    for _ in 0..5 {
        let answer = client
            .post(ERRORS, &json!({ "message": "m", "userId": "qzgone" }))
            .expect(201)
            .json();
        assert_eq!(answer["stored"], "spool");
    }
    // The erasure is begun by another process' hand, as it were: before the spool can be replayed.
    server.kill();
    drop(lock);
    let spool = server.data_dir().join("spool");
    let aside = server.folder().join("aside");
    std::fs::rename(&spool, &aside).expect("moved");
    server.restart();
    let client = server.client();
    let begun = client.post("/api/monitoring/erasures", &json!({ "userId": "qzgone" }));
    assert_eq!(ended(&client, &begun.json()["id"])["events"], 1);
    server.stop();
    std::fs::remove_dir_all(&spool).expect("removed");
    std::fs::rename(&aside, &spool).expect("moved back");
    server.restart();
    let client = server.client();
    eventually("the spool is empty", || {
        let ledger = client.get("/api/monitoring/stats").expect(200).json()["ledger"].clone();
        (ledger["spooled"] == 0 && ledger["duplicates"] == 5 && ledger["balanced"] == true).then_some(())
    });
    assert_eq!(total(&client, "userId=qzgone"), 0);
}

#[test]
fn a_large_purge_holds_nobody_up_and_survives_being_killed() {
    const EVENTS: usize = 50_000;
    let mut server = Server::start(&[]);
    let client = server.client();
    report_many(&client, "load", EVENTS);
    let began = Instant::now();
    let begun = client.delete(&format!("{ERRORS}?source=load")).expect(202).json();
    let receipt = |client: &Client| client.get(&format!("{PURGES}/{}", begun["id"])).expect(200).json();
    let again = client.delete(&format!("{ERRORS}?source=load")).expect(202).json();
    assert_eq!(again["id"], begun["id"], "it runs already");
    let (mut waits, mut kills) = (Vec::new(), 0);
    let mut client = client;
    loop {
        let now = receipt(&client);
        if now["status"] != "running" {
            break;
        }
        let before = Instant::now();
        report(&client, &json!({ "message": "meanwhile", "source": "live" }));
        waits.push(before.elapsed());
        if kills < 2 && now["events"].as_u64().is_some_and(|events| events > 5000 * (kills + 1)) {
            server.kill();
            server.restart();
            client = server.client();
            kills += 1;
        }
    }
    let done = receipt(&client);
    let took = began.elapsed();
    waits.sort_unstable();
    let longest = waits.last().copied().unwrap_or_default();
    eprintln!(
        "purge of {EVENTS} events in {took:?}: {} reports meanwhile, median {:?}, longest {longest:?}, {kills} kills",
        waits.len(),
        waits[waits.len() / 2],
    );
    assert_eq!(
        (&done["status"], &done["events"]),
        (&json!("done"), &json!(EVENTS)),
        "{done}"
    );
    assert_eq!(
        (&done["groups"], &done["groupsRemoved"], kills),
        (&json!(40), &json!(40), 2)
    );
    assert_eq!(
        (total(&client, "source=load"), total(&client, "source=live")),
        (0, waits.len() as u64)
    );
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

#[test]
fn a_purge_that_another_version_began_fails_with_a_reason_and_holds_up_no_other() {
    let mut server = Server::start(&[]);
    report_many(&server.client(), "shop", 20);
    server.stop();
    let file = server.other_party("events.db");
    file.execute_batch(
        r#"INSERT INTO purges (kind, actor, began, bound, asked, filter, place, tally)
           VALUES (0, 'me', 1, 9000000000000, '{"all":true}', '{"regions":["eu"]}', 9000000000000, '{"events":0,"bytes":0,
             "kinds":[[0,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]],"span_ms":null}')"#,
    )
    .expect("written");
    drop(file);
    server.restart();
    let client = server.client();
    let receipt = ended(&client, &json!(1));
    assert_eq!((&receipt["status"], &receipt["events"]), (&json!("failed"), &json!(0)));
    assert!(
        receipt["error"]
            .as_str()
            .is_some_and(|error| error.contains("another version")),
        "{receipt}"
    );
    assert_eq!(total(&client, ""), 20);
    assert_eq!(purge(&client, "source=shop")["events"], 20);
}

#[test]
fn a_purge_that_is_stopped_says_how_far_it_came() {
    let server = Server::start(&[]);
    let client = server.client();
    report_many(&client, "load", 30_000);
    let begun = client.delete(&format!("{ERRORS}?source=load"));
    let id = begun.expect(202).json()["id"].clone();
    eventually("some are removed", || {
        let receipt = client.get(&format!("{PURGES}/{id}")).expect(200).json();
        (receipt["events"].as_u64() > Some(0)).then_some(())
    });
    let stopped = client
        .send("POST", &format!("{PURGES}/{id}/cancel"), None)
        .expect(200)
        .json();
    let receipt = ended(&client, &id);
    assert_eq!(receipt["status"], "cancelled", "{stopped}");
    let left = receipt["events"].as_u64().expect("a count");
    assert!(left > 0 && left < 30_000, "{receipt}");
    assert_eq!(total(&client, "source=load"), 30_000 - left);
    assert!(receipt["error"].is_null() && receipt["ended"].is_string());
}
