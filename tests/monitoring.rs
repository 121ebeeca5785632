//! The monitoring API at the front door of the real binary: its shapes, the probes, the breakers by hand.

mod common;
mod shapes;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Answer, Client, Server, eventually, raw};
use serde_json::{Value, json};

const BREAKERS: [&str; 4] = ["app.read", "app.write", "events.read", "events.write"];

fn breaker(client: &Client, name: &str) -> Value {
    let all = client.get("/api/monitoring/circuit-breaker").expect(200).json();
    let found = all["circuitBreakers"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|b| b["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {all}")).clone()
}

fn set(client: &Client, name: &str, what: &str, body: &Value) -> Answer {
    client.post(&format!("/api/monitoring/circuit-breaker/{name}/{what}"), body)
}

#[test]
fn every_member_of_the_contract_is_there_with_its_type() {
    let server = Server::start(&[]);
    let client = server.client();
    client.post("/api/monitoring/errors", &shapes::full_event()).expect(201);
    set(&client, "app.write", "force-open", &json!({ "forSeconds": 600 })).expect(200);
    let health = client.get("/api/monitoring/health").expect(200).json();
    shapes::check(&health, &shapes::health());
    shapes::check(
        &client.get("/api/monitoring/stats").expect(200).json(),
        &shapes::stats(),
    );
    shapes::check(
        &client.get("/api/monitoring/circuit-breaker").expect(200).json(),
        &shapes::breakers(),
    );
    let list = client
        .get("/api/monitoring/errors?count=true&type=api")
        .expect(200)
        .json();
    shapes::check(
        &list,
        &json!({ "errors": [shapes::event()], "nextCursor": "text?", "total": "number" }),
    );
    let id = list["errors"][0]["id"].as_str().expect("an id").to_owned();
    shapes::check(
        &client.get(&format!("/api/monitoring/errors/{id}")).expect(200).json(),
        &shapes::event(),
    );
}

#[test]
fn probes_answer_and_verbose_lists_the_checks() {
    let server = Server::start(&[]);
    let client = server.client();
    assert_eq!(client.get("/livez").expect(200).text, "ok");
    assert_eq!(client.get("/readyz").expect(200).text, "ok");
    let verbose = client.get("/readyz?verbose").expect(200).text;
    for line in [
        "[+]appDatabase ok",
        "[+]eventsDatabase ok",
        "[+]spool ok",
        "[+]disk ok",
        "[+]shutdown ok",
    ] {
        assert!(verbose.lines().any(|l| l == line), "{line} in {verbose}");
    }
    set(&client, "app.read", "force-open", &json!({})).expect(200);
    client.get("/livez").expect(200);
    client.get("/readyz").expect(503);
    let verbose = client.get("/readyz?verbose").expect(503).text;
    assert!(
        verbose.contains("[-]appDatabase failed") && verbose.ends_with("not ready"),
        "{verbose}"
    );
}

#[test]
fn a_breaker_forced_open_refuses_says_so_and_lets_through_after_its_reset() {
    let server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    let shown = set(
        &client,
        "app.read",
        "force-open",
        &json!({ "forSeconds": 600, "reason": "drill" }),
    )
    .expect(200);
    assert_eq!(
        (&shown.json()["state"], &shown.json()["name"]),
        (&json!("FORCED_OPEN"), &json!("app.read"))
    );

    let refused = client.get("/api/data/notes").expect(503);
    let problem = refused.json();
    let retry: u64 = refused
        .header("Retry-After")
        .and_then(|s| s.parse().ok())
        .expect("seconds");
    assert!(
        (1..=600).contains(&retry) && problem["retryAfter"] == retry,
        "{refused:?}"
    );
    assert_eq!(problem["systemStatus"], json!({ "databaseHealthy": false }));
    let health = client.get("/api/monitoring/health").expect(503).json();
    assert_eq!(
        (&health["status"], &health["databaseHealthy"]),
        (&json!("unhealthy"), &json!(false))
    );
    let because = health["because"][0].as_str().expect("a reason");
    assert!(
        because.starts_with("app.read: circuit breaker FORCED OPEN") && because.contains("drill"),
        "{because}"
    );
    assert!(breaker(&client, "app.read")["notPermittedCalls"].as_u64() >= Some(1));

    let reset = client
        .post("/api/monitoring/circuit-breaker/reset", &json!({ "name": "app.read" }))
        .expect(200);
    assert_eq!(reset.json(), json!({ "reset": ["app.read"] }));
    client.get("/api/data/notes").expect(200);
    assert_eq!(
        client.get("/api/monitoring/health").expect(200).json()["status"],
        "healthy"
    );
    let changes = client.get("/api/monitoring/circuit-breaker").json();
    let steps: Vec<_> = changes["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| (&e["from"], &e["to"]))
        .collect();
    assert_eq!(
        steps,
        [
            (&json!("FORCED_OPEN"), &json!("CLOSED")),
            (&json!("CLOSED"), &json!("FORCED_OPEN"))
        ]
    );
}

#[test]
fn what_is_set_by_hand_for_a_time_ends_by_itself() {
    let server = Server::start(&[]);
    let client = server.client();
    for what in ["force-open", "disable"] {
        set(&client, "app.read", what, &json!({ "forSeconds": 1 })).expect(200);
        assert_ne!(breaker(&client, "app.read")["state"], "CLOSED", "{what}");
        eventually("the state ends", || {
            (breaker(&client, "app.read")["state"] == "CLOSED").then_some(())
        });
        eventually("reads go on", || (client.get("/api/data").status == 200).then_some(()));
    }
    set(&client, "events.write", "disable", &json!({})).expect(200);
    let all = client
        .post("/api/monitoring/circuit-breaker/reset", &json!({}))
        .expect(200);
    assert_eq!(all.json(), json!({ "reset": BREAKERS }));
    assert_eq!(breaker(&client, "events.write")["state"], "CLOSED");
}

#[test]
fn without_authority_health_shows_three_members_only() {
    let server = Server::start(&[]);
    let answer = raw::ask(
        &server.url(""),
        "GET",
        "/api/monitoring/health",
        &[("Host", "example.org")],
        b"",
    )
    .expect(200);
    let members: Vec<_> = answer.json().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(members, ["status", "databaseHealthy", "since"]);
}

#[test]
fn a_request_under_way_when_the_service_is_told_to_end_is_answered() {
    let mut server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    // Half a request keeps the server's end waiting for its other half.
    let mut stream = TcpStream::connect(server.url("").trim_start_matches("http://")).expect("connects");
    stream
        .write_all(
            b"POST /api/data/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 29\r\n\r\n{\"id\":\"under-way\",",
        )
        .expect("sent");
    eventually("the request is under way", || {
        (client.get("/api/monitoring/stats").json()["requests"]["inFlight"].as_i64() >= Some(2)).then_some(())
    });
    server.signal(rustix::process::Signal::TERM);
    stream.write_all(b"\"number\":1}").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let done = answer.starts_with("HTTP/1.1 201") || answer.starts_with("HTTP/1.1 503");
    assert!(done, "{answer}");
    assert!(server.wait().success());
    server.restart();
    let status = server.client().get("/api/data/notes/under-way").status;
    assert_eq!(status == 200, answer.starts_with("HTTP/1.1 201"), "{answer}");
}
