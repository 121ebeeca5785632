//! The live tail through the front door: resumed without a skip or a repeat, across kills, locks and slow readers.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use common::work::{OtherProcess, all_events, assert_once, be_the_other_process, member, stats};
use common::{Client, SHORT, Server, eventually, mainstay};

/// So many signs of life without a message are waiting in vain.
const MOST_SIGNS: u32 = 6;
/// Leaves out what the server itself reports of its bad moments.
const OURS: &str = "?source=test";
const TAIL: &str = "/api/monitoring/errors/tail";

#[test]
#[ignore = "the other process of the locking tests"]
fn the_other_process() {
    be_the_other_process();
}

/// One message of a stream.
#[derive(Debug, Clone, Default)]
struct Message {
    id: Option<String>,
    name: String,
    data: String,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A client of the tail.
struct Reader {
    from: BufReader<TcpStream>,
    status: u16,
    last: Option<String>,
    /// Signs of life in a row.
    signs: u32,
}

impl Reader {
    fn try_ask(server: &Server, query: &str, headers: &[(&str, &str)]) -> Option<Self> {
        let url = server.url("");
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        // HTTP/1.0, so that the body comes as it is.
        let mut request = format!("GET {TAIL}{query} HTTP/1.0\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all((request + "\r\n").as_bytes()).ok()?;
        let mut from = BufReader::new(stream);
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        while from.read_line(&mut line).ok()? > 2 {}
        Some(Self {
            from,
            status,
            last: None,
            signs: 0,
        })
    }

    #[track_caller]
    fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let reader = Self::try_ask(server, query, headers).expect("an answer");
        assert_eq!(reader.status, 200);
        reader
    }

    /// One that is heard to have begun: what is stored from now on comes.
    #[track_caller]
    fn begun(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut reader = Self::open(server, query, headers);
        assert_eq!(reader.named("state")["state"], "live");
        reader
    }

    /// The next message, comments included; `None` at the end.
    fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            // What a cut leaves of a message is none.
            if self.from.read_line(&mut line).ok()? == 0 || !line.ends_with('\n') {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(':') {
                None if line.is_empty() => {
                    self.last = message.id.clone().or(self.last.take());
                    self.signs = if message.name == "comment" { self.signs + 1 } else { 0 };
                    assert!(self.signs < MOST_SIGNS, "nothing but signs of life");
                    return Some(message);
                }
                Some(("id", id)) => message.id = Some(id.trim().to_owned()),
                Some(("event", name)) => message.name = name.trim().to_owned(),
                Some(("data", data)) => message.data += data.trim_start(),
                Some(("", _)) => message.name = "comment".to_owned(),
                _ => panic!("an unknown line: {line}"),
            }
        }
    }

    /// The next message of this name, which nothing but comments may precede.
    #[track_caller]
    fn named(&mut self, name: &str) -> Value {
        loop {
            let message = self.next().expect("the stream goes on");
            if message.name == name {
                assert!(message.id.is_some(), "{message:?}");
                return message.json();
            }
            assert_eq!(message.name, "comment", "{message:?} instead of {name}");
        }
    }

    /// The next event, whatever is told before it.
    fn event(&mut self) -> Option<Value> {
        loop {
            let message = self.next()?;
            if message.name.is_empty() {
                assert!(message.id.is_some(), "{message:?}");
                return Some(message.json());
            }
        }
    }

    fn messages(&mut self, count: usize) -> Vec<String> {
        let text = |event: Value| event["message"].as_str().expect("a message").to_owned();
        (0..count).map(|_| text(self.event().expect("an event"))).collect()
    }
}

fn report(client: &Client, message: &str) -> String {
    let answer = client
        .post(
            "/api/monitoring/errors",
            &json!({ "message": message, "source": "test" }),
        )
        .expect(201);
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn numbered(client: &Client, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers
        .map(|number| {
            report(client, &format!("event {number}"));
            format!("event {number}")
        })
        .collect()
}

#[test]
fn events_come_as_in_the_list_and_a_reader_goes_on_where_it_was() {
    let server = Server::start(&[]);
    let client = server.client();
    report(&client, "before");
    let mut reader = Reader::begun(&server, "", &[]);
    let sent = numbered(&client, 0..5);
    let first = reader.event().expect("an event");
    let listed = client.get("/api/monitoring/errors?limit=5").expect(200).json();
    assert_eq!(listed["errors"][4], first, "the same shape");
    assert_eq!(reader.messages(1), sent[1..2]);
    let at = reader.last.clone().expect("an id");
    drop(reader);
    // Dated back and in a batch: they are stored now all the same.
    let late = [
        json!({ "message": "yesterday", "timestamp": "2024-01-01T00:00:00Z" }),
        json!({ "message": "now" }),
    ];
    client.post("/api/monitoring/errors", &json!(late)).expect(200);
    let expected: Vec<String> = sent[2..]
        .iter()
        .cloned()
        .chain(["yesterday".into(), "now".into()])
        .collect();
    let mut by_header = Reader::open(&server, "?after=0", &[("Last-Event-ID", &at)]);
    assert_eq!(by_header.messages(5), expected, "the header is newer than the address");
    let mut by_parameter = Reader::open(&server, &format!("?after={at}"), &[]);
    assert_eq!(by_parameter.messages(5), expected);
    let mut all = Reader::open(&server, "?after=0", &[]);
    assert_eq!(all.messages(1), ["before"]);
}

#[test]
fn the_events_of_one_request_are_stored_in_their_order() {
    const LONG: usize = 256;
    const EVENTS: usize = 1285;
    let server = Server::start(&[]);
    let client = server.client();
    // The first ones take longest to make ready, and a few are left over at the end.
    let padding = "first ".repeat(1300);
    let message = |number: usize| format!("{number} {}", if number < LONG { &padding } else { "" });
    let lines: String = (0..EVENTS)
        .map(|number| format!("{}\n", json!({ "message": message(number) })))
        .collect();
    let body = Some(("application/x-ndjson", lines.as_bytes()));
    let answer = client.send("POST", "/api/monitoring/errors", body).expect(200).json();
    assert_eq!(answer["accepted"], EVENTS);
    let stored = Reader::open(&server, "?after=0", &[]).messages(EVENTS);
    let number = |message: &String| message.split(' ').next().and_then(|number| number.parse().ok());
    let numbers: Vec<Option<usize>> = stored.iter().map(number).collect();
    let sent: Vec<Option<usize>> = (0..EVENTS).map(Some).collect();
    assert!(numbers == sent, "{numbers:?}");
}

#[test]
fn every_id_of_a_union_follows_the_whole_also_one_that_is_made_meanwhile() {
    let server = Server::start(&[]);
    let client = server.client();
    let report = |word: &str| {
        let event = json!({ "message": word, "fingerprint": [word] });
        let answer = client.post("/api/monitoring/errors", &event).expect(201).json();
        answer["groupId"].as_str().expect("a group").to_owned()
    };
    let (one, other) = (report("left"), report("right"));
    let mut readers = [&one, &other].map(|id| Reader::begun(&server, &format!("?group={id}"), &[]));
    report("apart");
    report("left");
    assert_eq!(readers[0].messages(1), ["left"]);
    client
        .post(
            &format!("/api/monitoring/groups/{one}/merge"),
            &json!({ "ids": [other] }),
        )
        .expect(200);
    report("right");
    report("left");
    readers
        .iter_mut()
        .for_each(|reader| assert_eq!(reader.messages(2), ["right", "left"]));
}

#[test]
fn kills_neither_skip_nor_repeat() {
    let mut server = Server::start(&[]);
    let mut seen: Vec<String> = Vec::new();
    let mut acknowledged = Vec::new();
    let mut at = Reader::begun(&server, "", &[]).last.expect("an id");
    for round in 0..4 {
        let client = server.client();
        let mut reader = Reader::open(&server, "", &[("Last-Event-ID", &at)]);
        let writer = std::thread::spawn(move || {
            let mut done = Vec::new();
            for number in 0.. {
                let body = json!({ "message": format!("event {round}.{number}") }).to_string();
                let answer = client.try_send(
                    "POST",
                    "/api/monitoring/errors",
                    Some(("application/json", body.as_bytes())),
                );
                match answer {
                    Some(answer) => done.push(answer.expect(201).json()["id"].as_str().expect("an id").to_owned()),
                    None => return done,
                }
            }
            done
        });
        let mut got = 0;
        while let Some(event) = reader.event() {
            seen.push(event["id"].as_str().expect("an id").to_owned());
            got += 1;
            if got == 20 {
                server.kill();
            }
        }
        at = reader.last.clone().expect("an id");
        acknowledged.extend(writer.join().expect("no panic"));
        server.restart();
    }
    let client = server.client();
    report(&client, "the end");
    let mut reader = Reader::open(&server, &format!("?after={at}"), &[]);
    loop {
        let event = reader.event().expect("an event");
        if event["message"] == "the end" {
            break;
        }
        seen.push(event["id"].as_str().expect("an id").to_owned());
    }
    assert_once("events of the tail", &acknowledged, &seen);
    // The newest first.
    let stored = member(&all_events(&client)[1..], "id");
    assert_once("stored events", &seen, &stored);
    assert_eq!(seen.len() + 1, all_events(&client).len());
}

/// 16 MiB of events, more than the sockets between hold.
fn flood(client: &Client) -> usize {
    let padding = "x".repeat(60 << 10);
    let batch: Vec<Value> = (0..32)
        .map(|number| json!({ "message": format!("flood {number}"), "details": { "padding": padding } }))
        .collect();
    for _ in 0..8 {
        client.post("/api/monitoring/errors", &json!(batch)).expect(200);
    }
    8 * batch.len()
}

#[test]
fn a_slow_reader_is_let_go_and_a_quick_one_is_not_hurt() {
    let server = Server::start(&[("MAINSTAY_TAIL_PATIENCE", "1"), ("MAINSTAY_TAIL_READERS", "2")]);
    let client = server.client();
    let mut slow = Reader::begun(&server, "", &[]);
    let quick = Reader::begun(&server, "", &[]);
    let quick = std::thread::spawn(move || {
        let mut quick = quick;
        let mut got = BTreeMap::new();
        while let Some(event) = quick.event() {
            if event["message"] == "the end" {
                break;
            }
            *got.entry(event["id"].as_str().expect("an id").to_owned()).or_insert(0) += 1;
        }
        got
    });
    let sent = flood(&client);
    let tail = eventually("the slow one is let go", || {
        Some(stats(&client)["tail"].clone()).filter(|tail| tail["droppedSlow"] == 1)
    });
    assert_eq!((&tail["readers"], &tail["limit"]), (&1.into(), &2.into()));
    // Its seat is free.
    let mut other = Reader::begun(&server, "", &[]);
    report(&client, "the end");
    assert_eq!(other.messages(1), ["the end"]);
    let got = quick.join().expect("no panic");
    assert!(
        got.len() == sent && got.values().all(|times| *times == 1),
        "{}",
        got.len()
    );
    // What came of it is whole, and it goes on from there.
    let mut seen = 0;
    while slow.event().is_some() {
        seen += 1;
    }
    let at = slow.last.clone().expect("an id");
    assert!(seen > 0 && seen < sent, "{seen}");
    // The quick one's seat is free once a sign of life finds that it has gone.
    let mut again = eventually("a free seat", || {
        Reader::try_ask(&server, "", &[("Last-Event-ID", &at)]).filter(|reader| reader.status == 200)
    });
    let rest = again.messages(sent - seen + 1);
    assert_eq!(rest.last().expect("some"), "the end");
}

#[test]
fn readers_that_take_nothing_and_stay_keep_nobody_out() {
    let server = Server::start(&[("MAINSTAY_TAIL_PATIENCE", "1"), ("MAINSTAY_TAIL_READERS", "1")]);
    let client = server.client();
    let mut stalled = Vec::new();
    for number in 1..=4 {
        // The last one's connection is cut a moment after its seat is free.
        stalled.push(eventually("a place", || {
            Reader::try_ask(&server, "", &[]).filter(|reader| reader.status == 200)
        }));
        stalled[number - 1].named("state");
        flood(&client);
        eventually("it is let go", || {
            (stats(&client)["tail"]["droppedSlow"] == number).then_some(())
        });
    }
}

#[test]
fn readers_are_bounded_and_give_signs_of_life() {
    let server = Server::start(&[("MAINSTAY_TAIL_PATIENCE", "1"), ("MAINSTAY_TAIL_READERS", "2")]);
    let client = server.client();
    let mut first = Reader::begun(&server, "", &[]);
    let second = Reader::begun(&server, "", &[]);
    let refused = client.get(TAIL).expect(429);
    assert_eq!(refused.json()["code"], "too_many_readers");
    assert!(refused.header("Retry-After").is_some());
    let sign = first.next().expect("a sign of life");
    assert_eq!(sign.name, "comment");
    assert_eq!(sign.id, first.last, "with its position");
    drop(second);
    eventually("a free seat", || {
        Reader::try_ask(&server, "", &[]).filter(|reader| reader.status == 200)
    });
    assert!(stats(&client)["tail"]["refused"].as_u64() >= Some(1));
}

#[test]
fn a_locked_log_is_told_and_caught_up_with() {
    let server = Server::start(SHORT);
    let client = server.client();
    let mut reader = Reader::begun(&server, OURS, &[]);
    let before = numbered(&client, 0..3);
    assert_eq!(reader.messages(3), before);
    let lock = OtherProcess::hold(&server, "events.db");
    let meanwhile = numbered(&client, 3..9);
    assert_eq!(reader.named("state")["state"], "waiting");
    lock.release();
    let mut seen = Vec::new();
    let mut is_live = false;
    while seen.len() < meanwhile.len() || !is_live {
        let message = reader.next().expect("it lives on");
        match message.name.as_str() {
            "" => seen.push(message.json()["message"].as_str().expect("a message").to_owned()),
            "state" => is_live = message.json()["state"] == "live",
            other => assert_eq!(other, "comment"),
        }
    }
    assert_once("events", &meanwhile, &seen);
    assert_eq!(seen.len(), meanwhile.len());
}

#[test]
fn a_log_that_cannot_be_read_is_told_and_caught_up_with() {
    let server = Server::start(&[]);
    let client = server.client();
    let mut reader = Reader::begun(&server, OURS, &[]);
    client
        .post("/api/monitoring/circuit-breaker/events.read/force-open", &json!({}))
        .expect(200);
    let told = reader.named("state");
    assert!(told["state"] == "unreadable" && told["detail"].is_string(), "{told}");
    let sent = numbered(&client, 0..3);
    // One that comes meanwhile begins as well.
    let at = reader.last.clone().expect("an id");
    let mut other = Reader::open(&server, &format!("{OURS}&after={at}"), &[]);
    client
        .post("/api/monitoring/circuit-breaker/events.read/reset", &json!({}))
        .expect(200);
    assert_eq!(reader.named("state")["state"], "live");
    assert_eq!(reader.messages(3), sent);
    assert_eq!(other.messages(3), sent);
}

#[test]
fn every_filter_of_the_list_is_taken() {
    let server = Server::start(&[]);
    let client = server.client();
    let muted = client.post(
        "/api/monitoring/errors",
        &json!({ "message": "noise", "fingerprint": ["n"] }),
    );
    let group = muted.expect(201).json()["groupId"]
        .as_str()
        .expect("a group")
        .to_owned();
    client
        .post(&format!("/api/monitoring/groups/{group}/mute"), &json!({}))
        .expect(200);
    let filters = [
        ("type=database&severity=high", "a"),
        ("path=/pay", "b"),
        ("userId=42", "b"),
        ("tag.region=eu", "c"),
        ("q=connection%20-retry", "d"),
        ("q=is:muted", "noise"),
        (&format!("group={group}") as &str, "noise"),
        ("status=muted", "noise"),
        ("since=24h&tag.day=x", "f"),
        ("until=2020-01-01T00:00:00Z", "g"),
    ];
    let mut readers: Vec<Reader> = filters
        .iter()
        .map(|(query, _)| Reader::begun(&server, &format!("?{query}"), &[]))
        .collect();
    let events = [
        json!({ "message": "noise", "fingerprint": ["n"] }),
        json!({ "message": "a", "type": "database", "severity": "high" }),
        json!({ "message": "b", "path": "/pay", "userId": 42 }),
        json!({ "message": "c", "tags": { "region": "eu" } }),
        json!({ "message": "connection lost, retry" }),
        json!({ "message": "d", "exception": { "type": "E", "value": "connection" } }),
        json!({ "message": "g", "timestamp": "2019-01-01T00:00:00Z", "tags": { "day": "x" } }),
        json!({ "message": "f", "tags": { "day": "x" } }),
    ];
    client.post("/api/monitoring/errors", &json!(events)).expect(200);
    for (reader, (query, wanted)) in readers.iter_mut().zip(filters) {
        assert_eq!(reader.messages(1), [wanted], "{query}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_what_is_allowed() {
    let server = Server::start(&[]);
    let client = server.client();
    for wrong in ["", "5", "x-y", "-1-00000000", "1-0000000G"] {
        let answer = client.with("Last-Event-ID", wrong).get(TAIL).expect(400).json();
        assert_eq!(answer["errors"][0]["pointer"], "Last-Event-ID", "{wrong}");
        assert!(
            answer["errors"][0]["detail"]
                .as_str()
                .expect("text")
                .contains("17-0badcafe")
        );
    }
    let answer = client.get(&format!("{TAIL}?after=now")).expect(400).json();
    assert_eq!(answer["errors"][0]["pointer"], "after");
    let answer = client.get(&format!("{TAIL}?limit=5")).expect(400).json();
    let detail = answer["errors"][0]["detail"].as_str().expect("text");
    assert!(detail.contains("after") && detail.contains("severity"), "{detail}");
}

#[test]
fn what_left_before_it_was_read_is_told_first() {
    let server = Server::start(&[]);
    let client = server.client();
    let mut reader = Reader::begun(&server, "", &[]);
    let at = reader.last.clone().expect("an id");
    numbered(&client, 0..3);
    reader.messages(3);
    let read = reader.last.clone().expect("an id");
    client.delete("/api/monitoring/errors?all=true&reason=test").expect(200);
    report(&client, "after");
    let mut late = Reader::open(&server, "", &[("Last-Event-ID", &at)]);
    assert_eq!(late.named("gap")["reason"], "removed");
    assert_eq!(late.messages(1), ["after"]);
    let mut current = Reader::begun(&server, &format!("?after={read}"), &[]);
    assert_eq!(current.messages(1), ["after"], "it had read what left");
    let (number, _) = read.split_once('-').expect("two parts");
    let mut foreign = Reader::open(&server, &format!("?after={number}-00000000"), &[]);
    assert_eq!(foreign.named("gap")["reason"], "otherLog");
    assert_eq!(foreign.messages(1), ["after"]);
}

#[test]
fn it_ends_with_its_token_and_with_the_server() {
    let mut server = Server::start(&[]);
    let token = |name: &str| server.token(&["create", "--scope", "monitor:read", "--name", name]);
    let (one, other) = (token("one"), token("other"));
    let bearer = |token: &str| format!("Bearer {token}");
    eventually("the server knows the tokens", || {
        let client = server.client();
        (client.get(TAIL).status == 401).then_some(())?;
        (client
            .with("Authorization", &bearer(&other))
            .get("/api/monitoring/stats")
            .status
            == 200)
            .then_some(())
    });
    let mut first = Reader::begun(&server, "", &[("Authorization", &bearer(&one))]);
    let mut second = Reader::begun(&server, "", &[("Authorization", &bearer(&other))]);
    let id = one.split('_').nth(1).expect("an id");
    let revoked = mainstay(server.folder())
        .args(["token", "revoke", id])
        .status()
        .expect("runs");
    assert!(revoked.success());
    while first.next().is_some() {}
    server.signal(rustix::process::Signal::TERM);
    while second.next().is_some() {}
    assert!(server.wait().success());
}
