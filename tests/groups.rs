//! Groups at the front door of the real binary: what people do with them, and how they come back.

mod common;

use common::{Client, SHORT, Server, eventually};
use serde_json::{Value, json};

const GROUPS: &str = "/api/monitoring/groups";

/// Reports an event; its group's id.
fn report(client: &Client, event: &Value) -> String {
    let answer = client.post("/api/monitoring/errors", event).expect(201).json();
    answer["groupId"].as_str().expect("a group").to_owned()
}

fn groups(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("{GROUPS}?{query}")).expect(200).json();
    page["groups"].as_array().expect("a list").clone()
}

fn one(client: &Client, id: &str) -> Value {
    client.get(&format!("{GROUPS}/{id}")).expect(200).json()
}

fn act(client: &Client, id: &str, action: &str, body: &Value) -> Value {
    client.post(&format!("{GROUPS}/{id}/{action}"), body).expect(200).json()
}

fn actions(group: &Value) -> Vec<&str> {
    let history = group["history"].as_array().expect("a history");
    history.iter().filter_map(|entry| entry["action"].as_str()).collect()
}

#[test]
fn a_resolved_group_comes_back_and_says_so() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = json!({ "message": "card 4711 was refused", "source": "shop", "release": "shop@1.4.2", "userId": 42 });
    let id = report(&client, &event);
    let listed = groups(&client, "status=unresolved&q=refused");
    assert_eq!(listed.len(), 1);
    let group = &listed[0];
    assert_eq!(
        (&group["id"], &group["count"], &group["usersAffected"]),
        (&json!(id), &json!(1), &json!(1))
    );
    assert_eq!(
        (&group["releases"], &group["regressed"]),
        (&json!(["shop@1.4.2"]), &json!(false))
    );
    assert_eq!(group["trend"].as_array().expect("hours").len(), 24);

    let resolved = act(&client, &id, "resolve", &json!({ "reason": "a new card reader" }));
    assert_eq!(resolved["status"], "resolved");
    assert!(groups(&client, "status=unresolved&source=shop").is_empty());
    report(&client, &event);
    let back = one(&client, &id);
    assert_eq!(
        (&back["status"], &back["regressed"], &back["count"]),
        (&json!("unresolved"), &json!(true), &json!(2))
    );
    assert_eq!(actions(&back), ["regressed", "resolved"]);
    let resolving = &back["history"][1];
    assert_eq!(
        (&resolving["by"], &resolving["reason"]),
        (&json!("local"), &json!("a new card reader"))
    );
    assert_eq!(groups(&client, "status=regressed").len(), 1);
    assert_eq!(
        (back["samples"].as_array().expect("samples").len(), &back["aliases"]),
        (2, &json!([]))
    );
    assert!(back["explanation"].is_object() && back["trendByDay"].as_array().is_some_and(|days| days.len() == 30));
    let its_events = client
        .get(&format!("{GROUPS}/{id}/events?count=true"))
        .expect(200)
        .json();
    assert_eq!(
        (&its_events["total"], &its_events["errors"][0]["groupId"]),
        (&json!(2), &json!(id))
    );
}

#[test]
fn resolved_in_the_next_release_only_later_ones_bring_it_back() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = |release: &str| json!({ "message": "null is not an object", "source": "web", "release": release });
    let id = report(&client, &event("web@1.9.0"));
    assert_eq!(
        act(&client, &id, "resolve", &json!({ "inRelease": "next" }))["resolvedAfter"],
        "web@1.9.0"
    );
    for (release, status) in [
        ("web@1.8.0", "resolved"),
        ("web@1.9.0", "resolved"),
        ("web@1.10.0-rc.1", "unresolved"),
    ] {
        report(&client, &event(release));
        assert_eq!(one(&client, &id)["status"], status, "{release}");
    }
    let unnamed = report(&client, &json!({ "message": "no release", "source": "cron" }));
    let refused = client
        .post(
            &format!("{GROUPS}/{unnamed}/resolve"),
            &json!({ "inRelease": "current" }),
        )
        .expect(409);
    assert!(
        refused.json()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("cron"))
    );
}

#[test]
fn a_muted_group_stays_so_until_enough_events_or_its_time() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = json!({ "message": "slow disk" });
    let id = report(&client, &event);
    let muted = act(&client, &id, "mute", &json!({ "untilCount": 2, "withinSeconds": 600 }));
    let rule = json!({ "count": 2, "withinSeconds": 600, "seen": 0 });
    assert_eq!((&muted["status"], &muted["mutedUntilCount"]), (&json!("muted"), &rule));
    report(&client, &event);
    assert_eq!(one(&client, &id)["status"], "muted");
    report(&client, &event);
    let awake = one(&client, &id);
    assert_eq!(
        (&awake["status"], actions(&awake)),
        (&json!("unresolved"), vec!["unmuted", "muted"])
    );

    act(&client, &id, "mute", &json!({ "until": "1s" }));
    eventually("the mute is over", || {
        (one(&client, &id)["status"] == "unresolved").then_some(())
    });
    assert_eq!(groups(&client, "status=unresolved").len(), 1);
    assert!(groups(&client, "status=muted").is_empty());
    act(&client, &id, "mute", &json!({}));
    report(&client, &event);
    assert_eq!(act(&client, &id, "reopen", &json!({}))["status"], "unresolved");
}

#[test]
fn many_groups_are_acted_on_at_once() {
    let server = Server::start(&[]);
    let client = server.client();
    let ids: Vec<String> = ["alpha", "beta", "gamma"]
        .iter()
        .map(|word| {
            report(
                &client,
                &json!({ "message": format!("{word} failed"), "source": "batch", "fingerprint": [word] }),
            )
        })
        .collect();
    let bulk = |body: &Value| client.post(&format!("{GROUPS}/bulk"), body);
    let answer = bulk(&json!({ "ids": [ids[0], "E-999999"], "action": "resolve" }))
        .expect(200)
        .json();
    assert_eq!(answer["changed"], 1);
    assert_eq!(answer["results"][0], json!({ "id": ids[0], "result": "changed" }));
    assert_eq!(
        (&answer["results"][1]["result"], &answer["results"][1]["id"]),
        (&json!("refused"), &json!("E-999999"))
    );
    let answer = bulk(&json!({ "filter": { "source": "batch", "status": "unresolved" }, "action": "mute" }))
        .expect(200)
        .json();
    assert_eq!((&answer["changed"], &answer["more"]), (&json!(2), &json!(false)));
    assert_eq!(groups(&client, "status=muted&source=batch").len(), 2);
    let refused = bulk(&json!({ "ids": ["17"], "action": "close", "until": "1h" }))
        .expect(422)
        .json();
    let pointers: Vec<&str> = refused["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|e| e["pointer"].as_str())
        .collect();
    assert_eq!(pointers, ["/ids/0", "/action", "/until"]);
    assert_eq!(
        bulk(&json!({ "filter": {}, "action": "resolve" })).status,
        422,
        "not everything by accident"
    );
    assert_eq!(
        bulk(&json!({ "filter": { "colour": "red" }, "action": "resolve" })).status,
        422
    );
    // Of two values for one member nobody can say which is meant.
    let twice = format!(r#"{{"ids":["{}"],"action":"resolve","action":"mute"}}"#, ids[0]);
    let refused = client
        .send(
            "POST",
            &format!("{GROUPS}/bulk"),
            Some(("application/json", twice.as_bytes())),
        )
        .expect(422);
    assert!(refused.text.contains("twice"), "{refused:?}");
}

#[test]
fn pages_go_on_where_they_ended_while_events_come() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = |number: usize| json!({ "message": "m", "fingerprint": [number.to_string()] });
    let all: Vec<String> = (0..25).map(|number| report(&client, &event(number))).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client
            .get(&format!("{GROUPS}?sort=firstSeen&limit=4&count=true{cursor}"))
            .expect(200)
            .json();
        seen.extend(
            page["groups"]
                .as_array()
                .expect("groups")
                .iter()
                .map(|g| g["id"].as_str().expect("id").to_owned()),
        );
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // A known group moves in other orders, and a new one comes at the end.
        report(&client, &event(seen.len() % 25));
    }
    assert_eq!(seen, all);
    for wrong in [
        "sort=colour",
        "cursor=0",
        "status=closed",
        "limit=501",
        "page=2",
        "q=path:/x",
        "severity=fatal",
    ] {
        client.get(&format!("{GROUPS}?{wrong}")).expect(400);
    }
}

#[test]
fn ids_are_taken_as_they_are_written() {
    let server = Server::start(&[]);
    let client = server.client();
    for wrong in ["17", "e-17", "E-017", "E-0", "E-", "E--1", "E-99999999999999999999"] {
        client.get(&format!("{GROUPS}/{wrong}")).expect(400);
        client
            .post(&format!("{GROUPS}/{wrong}/resolve"), &json!({}))
            .expect(400);
    }
    for path in ["", "/events", "/history"] {
        client.get(&format!("{GROUPS}/E-17{path}")).expect(404);
    }
    client.post(&format!("{GROUPS}/E-17/mute"), &json!({})).expect(404);
    client
        .post(&format!("{GROUPS}/E-17/mute"), &json!({ "unitl": "1h" }))
        .expect(422);
    assert_eq!(client.get(&format!("{GROUPS}/E-17/resolve")).status, 405);
}

#[test]
fn two_people_at_once_leave_one_state_and_a_whole_history() {
    let server = Server::start(&[]);
    let client = server.client();
    let id = report(&client, &json!({ "message": "contended" }));
    let work = |action: &'static str| {
        let (client, id) = (client.clone(), id.clone());
        std::thread::spawn(move || (0..20).for_each(|_| drop(act(&client, &id, action, &json!({})))))
    };
    for worker in [work("resolve"), work("mute")] {
        worker.join().expect("done");
    }
    let history = client
        .get(&format!("{GROUPS}/{id}/history?limit=500"))
        .expect(200)
        .json();
    let taken: Vec<&str> = history["history"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|e| e["action"].as_str())
        .collect();
    assert!(
        taken.windows(2).all(|pair| pair[0] != pair[1]),
        "what changes nothing is not written down: {taken:?}"
    );
    let last = if taken[0] == "muted" { "muted" } else { "resolved" };
    assert_eq!(one(&client, &id)["status"], last);
    let page = client.get(&format!("{GROUPS}/{id}/history?limit=1")).expect(200).json();
    assert_eq!(page["nextCursor"].is_string(), taken.len() > 1);
}

#[test]
fn while_the_file_is_locked_nothing_is_half_done() {
    let server = Server::start(SHORT);
    let client = server.client();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|word| report(&client, &json!({ "message": word, "fingerprint": [word] })))
        .collect();
    let lock = server.hold_write_lock("events.db");
    let refused = client
        .post(&format!("{GROUPS}/bulk"), &json!({ "ids": ids, "action": "resolve" }))
        .expect(503);
    assert!(
        refused.header("Retry-After").is_some() && refused.json()["code"] == "database_busy",
        "{refused:?}"
    );
    assert_eq!(groups(&client, "status=unresolved").len(), 2, "reading goes on");
    lock.release();
    eventually("it works again", || {
        let path = format!("{GROUPS}/bulk");
        let done = client.post(&path, &json!({ "ids": ids, "action": "resolve" }));
        (done.status == 200 && done.json()["changed"] == 2).then_some(())
    });
    assert_eq!(groups(&client, "status=resolved").len(), 2);
}

#[test]
fn merged_groups_are_one_under_either_id_until_that_is_undone() {
    let server = Server::start(&[]);
    let client = server.client();
    let event =
        |word: &str, user: u32| json!({ "message": word, "fingerprint": [word], "userId": user, "release": "1.0" });
    let one = report(&client, &event("left", 1));
    let other = report(&client, &event("right", 2));
    report(&client, &event("right", 1));
    act(&client, &one, "mute", &json!({}));
    let merged = act(
        &client,
        &one,
        "merge",
        &json!({ "ids": [other], "reason": "the same fault" }),
    );
    assert_eq!(merged["id"], json!(one), "the older id stays");
    let whole = client.get(&format!("{GROUPS}/{other}")).expect(200).json();
    assert_eq!(
        (&whole["id"], &whole["aliases"], &whole["count"]),
        (&json!(one), &json!([other]), &json!(3))
    );
    assert_eq!(
        (&whole["usersAffected"], &whole["status"]),
        (&json!(2), &json!("unresolved")),
        "one of them was awake"
    );
    assert_eq!(
        whole["trend"][23]
            .as_u64()
            .zip(whole["trend"][22].as_u64())
            .map(|(now, before)| now + before),
        Some(3)
    );
    assert_eq!(groups(&client, "").len(), 1);
    let its_events = client.get(&format!("{GROUPS}/{other}/events")).expect(200).json();
    assert_eq!(its_events["errors"].as_array().expect("events").len(), 3);
    assert!(actions(&whole).contains(&"merged") && actions(&whole).contains(&"united"));
    // An act on the alias is one on the whole.
    assert_eq!(act(&client, &other, "resolve", &json!({}))["id"], json!(one));

    act(&client, &one, "undo", &json!({ "change": merged["change"] }));
    let (left, right) = (one_of(&client, &one), one_of(&client, &other));
    assert_eq!((&left["count"], &right["count"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&left["usersAffected"], &right["usersAffected"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (&left["status"], &right["status"]),
        (&json!("resolved"), &json!("resolved"))
    );
    report(&client, &event("right", 3));
    assert_eq!(
        (&one_of(&client, &one)["status"], &one_of(&client, &other)["regressed"]),
        (&json!("resolved"), &json!(true))
    );

    let path = |action: &str| format!("{GROUPS}/{one}/{action}");
    client
        .post(&path("undo"), &json!({ "change": merged["change"] }))
        .expect(409);
    client.post(&path("undo"), &json!({ "change": 999 })).expect(404);
    client.post(&path("undo"), &json!({})).expect(422);
    client.post(&path("merge"), &json!({ "ids": ["E-999"] })).expect(404);
    client.post(&path("merge"), &json!({ "ids": [] })).expect(422);
    client.post(&path("split"), &json!({ "aliases": [other] })).expect(409);
    client.post(&path("split"), &json!({ "keys": ["zz"] })).expect(422);
}

/// How many events a filter finds: counted, by time, listed newest first, exported and in a preview, all alike.
#[track_caller]
fn found(client: &Client, filter: &str) -> usize {
    let page = client
        .get(&format!(
            "/api/monitoring/errors?limit=500&count=true&histogram=true&{filter}"
        ))
        .expect(200)
        .json();
    let (mut listed, mut after) = (0, String::new());
    let mut newest = None;
    loop {
        let part = format!("/api/monitoring/errors?limit=7&{filter}{after}");
        let part = client.get(&part).expect(200).json();
        for event in part["errors"].as_array().expect("events") {
            let time = event["timestamp"].as_str().expect("a time").to_owned();
            assert!(newest.as_ref().is_none_or(|newest| time <= *newest), "{filter}: {time}");
            (listed, newest) = (listed + 1, Some(time));
        }
        match part["nextCursor"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => break,
        }
    }
    let buckets = page["histogram"]["buckets"].as_array().expect("buckets");
    let by_time: u64 = buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).sum();
    let exported = client
        .get(&format!("/api/monitoring/errors/export?{filter}"))
        .expect(200);
    let preview = client
        .delete(&format!("/api/monitoring/errors?dryRun=true&{filter}"))
        .expect(200)
        .json();
    assert_eq!(page["errors"].as_array().map(Vec::len), Some(listed), "{filter}");
    assert_eq!(
        (page["total"].as_u64(), by_time, preview["events"].as_u64()),
        (Some(listed as u64), listed as u64, Some(listed as u64)),
        "{filter}"
    );
    assert_eq!(exported.text.lines().count(), listed, "{filter}");
    listed
}

#[test]
fn every_id_of_a_union_finds_the_events_of_the_whole() {
    let server = Server::start(&[]);
    let client = server.client();
    let event = |word: &str| json!({ "message": word, "fingerprint": [word], "source": word });
    let (one, other, apart) = (
        report(&client, &event("left")),
        report(&client, &event("right")),
        report(&client, &event("apart")),
    );
    for _ in 0..9 {
        report(&client, &event("left"));
        report(&client, &event("right"));
    }
    assert_eq!(found(&client, &format!("group={one}")), 10);
    let merged = act(&client, &one, "merge", &json!({ "ids": [other] }));
    for id in [&one, &other] {
        for filter in [
            format!("group={id}"),
            format!("q=group:{id}"),
            format!("q=group:{id},{id}%20is:unresolved"),
            format!("group={id}&status=unresolved"),
            format!("group={one}&q=group:{other}"),
        ] {
            assert_eq!(found(&client, &filter), 20, "{filter}");
        }
        assert_eq!(found(&client, &format!("group={id}&q=right")), 10);
        assert_eq!(found(&client, &format!("group={id}&source=left")), 10);
        assert_eq!(found(&client, &format!("q=group:{id},{apart}")), 21);
        assert_eq!(found(&client, &format!("group={id}&q=group:{apart}")), 0);
        let named = groups(&client, &format!("q=group:{id}%20group:{other},{apart}"));
        assert_eq!((named.len(), &named[0]["id"]), (1, &json!(one)));
    }
    assert_eq!(found(&client, "group=E-999"), 0);
    act(&client, &one, "undo", &json!({ "change": merged["change"] }));
    assert_eq!(found(&client, &format!("group={one}")), 10);
    act(&client, &one, "merge", &json!({ "ids": [other] }));
    let gone = client
        .delete(&format!("/api/monitoring/errors?group={other}"))
        .expect(200)
        .json();
    assert_eq!((&gone["events"], &gone["groups"]), (&json!(20), &json!(1)));
    assert_eq!(
        (found(&client, &format!("group={one}")), found(&client, "since=1h")),
        (0, 1)
    );
}

#[test]
fn what_the_rules_unite_is_found_whole_and_in_order() {
    let server = Server::start(&[]);
    let client = server.client();
    let colours = [
        "red", "blue", "green", "gold", "pink", "grey", "teal", "lime", "navy", "plum", "rust", "sand",
    ];
    let names = [
        "ann", "bob", "cat", "dan", "eve", "fay", "gil", "hal", "ian", "jon", "kim", "lou", "meg", "ned",
    ];
    let event = |number: usize| {
        let (colour, name) = (colours[number % colours.len()], names[number % names.len()]);
        json!({ "message": format!("Channel {colour} closed by {name}") })
    };
    let events: Vec<Value> = (0..168).map(event).collect();
    client.post("/api/monitoring/errors", &json!(events)).expect(200);
    let listed = groups(&client, "");
    let ids: Vec<&str> = listed.iter().filter_map(|group| group["id"].as_str()).collect();
    let wholes: usize = ids.iter().map(|id| found(&client, &format!("group={id}"))).sum();
    assert_eq!(wholes, events.len(), "of {ids:?}");
    let largest = one(&client, ids[0]);
    let aliases = largest["aliases"].as_array().expect("aliases");
    assert!(aliases.len() > 2, "{largest:#}");
    for alias in aliases.iter().filter_map(Value::as_str) {
        assert_eq!(json!(found(&client, &format!("group={alias}"))), largest["count"]);
    }
}

#[test]
fn a_split_takes_events_with_their_counts_out() {
    let server = Server::start(&[]);
    let client = server.client();
    let event =
        |word: &str, user: u32| json!({ "message": word, "fingerprint": [word], "userId": user, "release": "1.0" });
    let one = report(&client, &event("left", 1));
    let other = report(&client, &event("right", 2));
    act(&client, &one, "merge", &json!({ "ids": [other] }));
    let whole = one_of(&client, &one);
    let key = whole["explanation"]["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|key| key["groupId"] == json!(other))
        .expect("its key")["key"]
        .clone();
    let split = act(&client, &one, "split", &json!({ "keys": [key] }));
    assert_eq!(split["movedEvents"], 1);
    let new = split["id"].as_str().expect("an id").to_owned();
    assert!(new != one && new != other);
    let (rest, new) = (one_of(&client, &one), one_of(&client, &new));
    assert_eq!((&rest["count"], &new["count"]), (&json!(1), &json!(1)));
    assert_eq!((&new["usersAffected"], &new["releases"]), (&json!(1), &json!(["1.0"])));
    let newest = |group: &Value| {
        group["trend"]
            .as_array()
            .expect("hours")
            .iter()
            .filter_map(Value::as_u64)
            .sum::<u64>()
    };
    assert_eq!((newest(&rest), newest(&new)), (1, 1));
}

fn one_of(client: &Client, id: &str) -> Value {
    let group = one(client, id);
    assert_eq!(group["id"], id, "it stands for itself");
    group
}
