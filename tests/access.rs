//! Who may do what, at the front door of the real binary: open local use, tokens, sessions, limits.

mod common;

use common::{Answer, Client, Server, eventually, mainstay, raw};
use serde_json::{Value, json};

fn bearing(server: &Server, token: &str) -> Client {
    server.client().with("Authorization", &format!("Bearer {token}"))
}

/// A server with an admin's token in force.
fn closed() -> (Server, Client) {
    let server = Server::start(&[]);
    let admin = bearing(&server, &server.token(&["create", "--scope", "admin", "--name", "me"]));
    eventually("the token is noticed", || {
        (server.client().get("/api/session").json()["open"] == false).then_some(())
    });
    (server, admin)
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (status, &json!(code)),
        "{answer:?}"
    );
    answer.json()
}

#[test]
fn open_local_use_refuses_foreign_names_pages_and_proxies() {
    let server = Server::start(&[]);
    let approaches = [
        ("Host", "example.org"),
        ("Host", "127.0.0.1.example.org"),
        ("Origin", "http://example.org"),
        ("Origin", "null"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Proto", "https"),
        ("X-Real-IP", "127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let routes = [
        ("GET", "/api/data"),
        ("PUT", "/api/data/notes"),
        ("GET", "/api/monitoring/stats"),
        ("POST", "/api/monitoring/errors"),
        ("GET", "/api/monitoring/stream"),
        ("POST", "/api/monitoring/circuit-breaker/reset"),
    ];
    for header in approaches {
        for (method, path) in routes {
            let answer = raw::ask(&server.url(""), method, path, &[header], b"");
            let problem = assert_refused(&answer, 403, "protected_mode");
            assert!(
                problem["detail"]
                    .as_str()
                    .is_some_and(|d| d.contains("mainstay token create")),
                "{problem}"
            );
        }
        raw::ask(&server.url(""), "GET", "/", &[header], b"").expect(200);
        raw::ask(&server.url(""), "GET", "/livez", &[header], b"").expect(200);
    }
    let twice = [("Host", "localhost"), ("Host", "example.org")];
    assert_refused(
        &raw::ask(&server.url(""), "GET", "/api/data", &twice, b""),
        403,
        "protected_mode",
    );
    for host in ["localhost:3000", "127.0.0.1", "[::1]:80"] {
        raw::ask(&server.url(""), "GET", "/api/data", &[("Host", host)], b"").expect(200);
    }
    assert_eq!(
        server.client().get("/api/data").json()["items"],
        json!([]),
        "nothing was created"
    );
}

#[test]
fn a_token_is_noticed_while_the_server_runs_and_so_is_its_end() {
    let (server, admin) = closed();
    let anybody = server.client();
    let unknown = format!("mst_00000000_{}", "a".repeat(43));
    for client in [
        anybody.clone(),
        bearing(&server, "nonsense"),
        bearing(&server, &unknown),
    ] {
        let refused = client.get("/api/data");
        assert_refused(&refused, 401, "unauthorized");
        assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer realm=\"mainstay\""));
    }
    assert_refused(
        &anybody.with("Authorization", "Basic bWU6bWU=").get("/api/data"),
        401,
        "unauthorized",
    );
    admin.get("/api/data").expect(200);
    // With a token, a proxy in front is welcome.
    admin.with("X-Forwarded-For", "10.0.0.1").get("/api/data").expect(200);
    let members: Vec<_> = anybody
        .get("/api/monitoring/health")
        .expect(200)
        .json()
        .as_object()
        .map(|o| o.keys().cloned().collect())
        .unwrap_or_default();
    assert_eq!(members, ["status", "databaseHealthy", "since"]);
    assert!(admin.get("/api/monitoring/health").json()["components"].is_object());
    anybody.get("/livez").expect(200);
    anybody.get("/readyz").expect(200);
    anybody.get("/").expect(200);

    let listed: Value = serde_json::from_str(&server.token(&["list", "--json"])).expect("JSON");
    assert!(!listed.to_string().contains("hash"), "{listed}");
    let id = listed["tokens"][0]["id"].as_str().expect("an id").to_owned();
    server.token(&["create", "--scope", "ingest"]);
    let reader = admin.clone();
    let stream = std::thread::spawn(move || reader.try_send("GET", "/api/monitoring/stream", None));
    server.token(&["revoke", &id]);
    eventually("the end is noticed", || {
        (admin.get("/api/data").status == 401).then_some(())
    });
    // Begun before or after the end: it doesn't go on.
    let read = stream.join().expect("joined").expect("the stream ends by itself");
    assert!(read.status == 200 || read.status == 401, "{read:?}");
}

#[test]
fn a_scope_allows_what_it_says_and_a_refusal_names_the_one_needed() {
    let (server, admin) = closed();
    admin.put("/api/data/notes", &json!({})).expect(201);
    admin.put("/api/data/other", &json!({})).expect(201);
    let make = |arguments: &[&str]| bearing(&server, &server.token(&[&["create", "--scope"], arguments].concat()));
    let narrow = make(&["data:write", "--collection", "notes"]);
    let (ingest, reader) = (make(&["ingest"]), make(&["monitor:read"]));
    // This asks without counting as a failed try.
    eventually("the last token is noticed", || {
        (reader.get("/api/session").json()["authorized"] == true).then_some(())
    });
    let event = json!({ "message": "m" });
    ingest.post("/api/monitoring/errors", &event).expect(201);
    reader.get("/api/monitoring/errors").expect(200);
    narrow.post("/api/data/notes", &json!({})).expect(201);
    let refused = [
        (ingest.get("/api/monitoring/errors"), "monitor:read"),
        (ingest.get("/api/data"), "data:read"),
        (reader.post("/api/monitoring/errors", &event), "ingest"),
        (
            reader.post("/api/monitoring/circuit-breaker/reset", &json!({})),
            "monitor:write",
        ),
        (reader.put("/api/data/mine", &json!({})), "data:write"),
        (narrow.get("/api/data/other"), "data:read"),
        (narrow.post("/api/data/other", &json!({})), "data:write"),
        (narrow.get("/api/data//other"), "data:read"),
        (narrow.get("/api/data"), "data:read"),
        (narrow.get("/api/monitoring/stats"), "monitor:read"),
    ];
    for (answer, scope) in refused {
        let detail = assert_refused(&answer, 403, "forbidden")["detail"]
            .as_str()
            .expect("text")
            .to_owned();
        assert!(detail.contains(scope), "{detail}");
    }
    let sneaky = narrow.get("/api/data/notes%2f..%2fother");
    assert_eq!(sneaky.status, 403, "{sneaky:?}");
}

/// What looks at the databases' inner working, and what changes it.
#[test]
fn the_pools_statements_and_indexes_are_for_those_who_may_monitor() {
    const LOOKS: [&str; 3] = ["pool", "queries", "queries/active"];
    const CHANGES: [&str; 4] = [
        "pool",
        "queries/reset",
        "queries/active/app-1-1/cancel",
        "databases/app/reindex",
    ];
    let (server, admin) = closed();
    let make = |scope: &str| bearing(&server, &server.token(&["create", "--scope", scope]));
    let (data, reader, writer) = (make("data:write"), make("monitor:read"), make("monitor:write"));
    eventually("the last token is noticed", || {
        (writer.get("/api/session").json()["authorized"] == true).then_some(())
    });
    let path = |name: &str| format!("/api/monitoring/{name}");
    let needs = |answer: Answer, scope: &str| {
        let problem = assert_refused(&answer, 403, "forbidden");
        assert!(
            problem["detail"].as_str().is_some_and(|d| d.contains(scope)),
            "{problem}"
        );
    };
    // Without a body that any of them would take: who may do it is told what is wrong with that.
    let nothing = json!({});
    for name in LOOKS {
        assert_refused(&server.client().get(&path(name)), 401, "unauthorized");
        needs(data.get(&path(name)), "monitor:read");
        reader.get(&path(name)).expect(200);
    }
    for name in CHANGES {
        assert_refused(&server.client().post(&path(name), &nothing), 401, "unauthorized");
        needs(data.post(&path(name), &nothing), "monitor:write");
        needs(reader.post(&path(name), &nothing), "monitor:write");
    }
    for (client, who) in [(&writer, "monitor:write"), (&admin, "admin")] {
        let statuses = CHANGES.map(|name| client.post(&path(name), &nothing).status);
        assert_eq!(statuses, [422, 200, 404, 409], "{who}");
    }
}

#[test]
fn an_expired_token_is_refused_and_leaves_the_door_closed() {
    let server = Server::start(&[]);
    let soon = bearing(
        &server,
        &server.token(&["create", "--scope", "admin", "--expires", "2s"]),
    );
    eventually("the token works", || {
        (server.client().get("/api/data").status == 401).then_some(())
    });
    let refused = eventually("it expires", || {
        let answer = soon.get("/api/data");
        (answer.status == 401).then_some(answer)
    });
    assert!(refused.text.contains("expired"), "{refused:?}");
    assert_eq!(
        server.client().get("/api/session").json(),
        json!({ "open": false, "authorized": false })
    );
}

#[test]
fn the_dashboards_session_is_a_strict_cookie_that_other_sites_cannot_use() {
    let (server, _) = closed();
    let secret = server.token(&["create", "--scope", "admin"]);
    let session = json!({ "token": secret });
    let foreign = server.client().with("Origin", "http://example.org");
    assert_refused(&foreign.post("/api/session", &session), 403, "forbidden");
    let without = server.client().post("/api/session", &json!({ "token": 3 }));
    assert_refused(&without, 422, "validation_failed");
    let long = server
        .client()
        .post("/api/session", &json!({ "token": "x".repeat(5000) }));
    assert_refused(&long, 413, "payload_too_large");
    let signed_in = eventually("the token is noticed", || {
        let answer = server.client().post("/api/session", &session);
        (answer.status == 204).then_some(answer)
    });
    let cookie = signed_in.header("Set-Cookie").expect("a cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(
            cookie.split("; ").any(|part| part == attribute),
            "{attribute} in {cookie}"
        );
    }
    let pair = cookie.split(';').next().expect("a pair");
    let dashboard = server.client().with("Cookie", pair);
    dashboard.get("/api/monitoring/stats").expect(200);
    assert_eq!(
        dashboard.get("/api/session").json(),
        json!({ "open": false, "authorized": true })
    );
    let reset = "/api/monitoring/circuit-breaker/reset";
    let own = server.url("");
    dashboard.post(reset, &json!({})).expect(200);
    dashboard.with("Origin", &own).post(reset, &json!({})).expect(200);
    for origin in ["http://example.org", "null", "http://localhost:1"] {
        assert_refused(
            &dashboard.with("Origin", origin).post(reset, &json!({})),
            403,
            "forbidden",
        );
    }
    let signed_out = dashboard.delete("/api/session").expect(204);
    let cookie = signed_out.header("Set-Cookie").expect("a cookie");
    assert!(
        cookie.starts_with("mainstay_session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
}

#[test]
fn repeated_wrong_tokens_are_slowed_down_and_a_burst_is_critical() {
    let (server, admin) = closed();
    let wrong = bearing(&server, &format!("mst_00000000_{}", "a".repeat(43)));
    let statuses: Vec<_> = (0..25).map(|_| wrong.get("/api/data").status).collect();
    assert!(
        statuses[..10].iter().all(|s| *s == 401) && statuses[10..].iter().all(|s| *s == 429),
        "{statuses:?}"
    );
    let limited = wrong.get("/api/data");
    let problem = assert_refused(&limited, 429, "rate_limited");
    let retry: u64 = limited
        .header("Retry-After")
        .and_then(|s| s.parse().ok())
        .expect("seconds");
    assert!(
        (1..=60).contains(&retry) && problem["retryAfter"] == retry,
        "{limited:?}"
    );
    admin.get("/api/data").expect(200);
    let burst = eventually("the burst's event", || {
        let page = admin.get("/api/monitoring/errors?severity=critical").json();
        page["errors"].as_array().filter(|found| !found.is_empty()).cloned()
    });
    assert_eq!((burst.len(), &burst[0]["details"]["burst"]), (1, &json!(true)));
    let kept = admin.get("/api/monitoring/errors?count=true&limit=1").json();
    assert_eq!(kept["total"], 11, "what is turned away with 429 fills no log: {kept}");
    let single = admin.get("/api/monitoring/errors?severity=medium&type=api").json();
    assert_eq!(
        (&single["errors"][0]["ip"], &single["errors"][0]["path"]),
        (&json!("127.0.0.1"), &json!("/api/data"))
    );
}

#[test]
fn listening_elsewhere_needs_a_token_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = mainstay(folder.path())
        .env("ROCKET_ADDRESS", "0.0.0.0")
        .env("ROCKET_PORT", "0")
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(
        told.contains("0.0.0.0") && told.contains("mainstay token create"),
        "{told}"
    );

    let mut server = Server::start(&[]);
    let admin = server.token(&["create", "--scope", "admin"]);
    assert!(server.stop().success());
    server.set("ROCKET_ADDRESS", "0.0.0.0");
    server.restart();
    let local = server.url("").replace("0.0.0.0", "127.0.0.1");
    assert_refused(&Client::new(&local).get("/api/data"), 401, "unauthorized");
    Client::new(&local)
        .with("Authorization", &format!("Bearer {admin}"))
        .get("/api/data")
        .expect(200);
}
