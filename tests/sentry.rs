//! The Sentry endpoints at the front door of the real binary: every way in that the SDKs take, and the unmodified
//! `sentry` crate, also while events.db is locked, full or damaged.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use common::source::{check_reported, key, make_source, with_source};
use common::{Answer, Client, SHORT, Server, eventually, mainstay, trouble};
use serde_json::{Value, json};

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";

fn envelope(message: &str) -> Vec<u8> {
    format!("{{\"event_id\":\"{ID}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"{message}\"}}\n").into_bytes()
}

fn post(client: &Client, path: &str, body: &[u8]) -> Answer {
    client.send("POST", path, Some(("text/plain;charset=UTF-8", body)))
}

/// The events with this message, once there is at least one.
fn found(client: &Client, message: &str) -> Vec<Value> {
    common::source::found(client, message, |event| event["message"] == message)
}

#[test]
fn every_way_to_show_the_key_is_taken_and_no_other() {
    let (_server, client, dsn) = with_source(&[]);
    let key = key(&dsn);
    let header = format!("Sentry sentry_key={key}, sentry_version=7, sentry_client=test/1");
    let shown = client.with("X-Sentry-Auth", &header);
    for path in ["/api/1/envelope/", "/api/1/envelope", "/errors/here/api/1/envelope/"] {
        let answer = post(&shown, path, &envelope("by header")).expect(200);
        assert_eq!(answer.json(), json!({ "id": ID }), "{path}");
    }
    let by_query = format!("/api/1/envelope/?sentry_version=7&sentry_key={key}&sentry_client=a%2Fb");
    post(&client, &by_query, &envelope("by query")).expect(200);
    let by_body = format!("{{\"dsn\":\"{dsn}\"}}\n{{\"type\":\"event\"}}\n{{\"message\":\"by body\"}}\n");
    post(&client, "/api/1/envelope/", by_body.as_bytes()).expect(200);
    let old = format!("Sentry sentry_version=6,sentry_key={key},sentry_secret=s");
    post(
        &client.with("X-Sentry-Auth", &old),
        "/api/1/store/",
        b"{\"message\":\"stored\"}",
    )
    .expect(200);
    assert_eq!(found(&client, "by header").len(), 1, "one id is one event");
    for message in ["by body", "stored"] {
        assert_eq!(found(&client, message)[0]["source"], "shop");
    }
    let refused = post(
        &client,
        "/api/1/envelope/?sentry_key=00000000000000000000000000000000",
        b"{}",
    )
    .expect(403);
    assert_eq!(refused.header("Access-Control-Allow-Origin"), Some("*"));
    assert!(
        refused.header("X-Sentry-Error").is_some_and(|why| why.contains("key")),
        "{refused:?}"
    );
    post(&client, &format!("/api/2/envelope/?sentry_key={key}"), b"{}").expect(403);
    post(&client, "/api/1/envelope/", b"{}").expect(403);
    post(&client, "/api/one/envelope/", b"{}").expect(404);
    let other = client.get("/below/api/1/envelope/").expect(405);
    assert_eq!(other.header("Allow"), Some("OPTIONS, POST"));
    let again = std::iter::repeat_with(|| post(&client, "/api/1/store/?sentry_key=wrong", b"{}"));
    let limited = again
        .take(20)
        .find(|answer| answer.status == 429)
        .expect("tries are limited");
    assert!(limited.header("Retry-After").is_some());
    assert!(
        limited
            .header("X-Sentry-Rate-Limits")
            .is_some_and(|limits| limits.ends_with(":error:project:quota"))
    );
    post(&client, &by_query, &envelope("by query")).expect(200);
    let clients = client.get("/api/monitoring/stats").json()["clients"].clone();
    assert!(clients["refusedKeys"].as_u64() >= Some(5), "{clients}");
}

#[test]
fn a_page_of_another_origin_may_report_and_nothing_else() {
    let server = Server::start(&[]);
    let dsn = make_source(&server, "web");
    let place = server.url("/1").replacen("http://", "@", 1);
    assert!(dsn.ends_with(&place), "{dsn} must name where the server really listens");
    let page = server
        .client()
        .with("Origin", "https://shop.example.com")
        .with("Sec-Fetch-Site", "cross-site");
    let asked = page.send("OPTIONS", "/api/1/envelope/", None).expect(200);
    assert_eq!(asked.header("Access-Control-Allow-Origin"), Some("*"));
    let allowed = "X-Sentry-Auth, Content-Type, Content-Encoding, sentry-trace, baggage, Authorization";
    assert_eq!(asked.header("Access-Control-Allow-Headers"), Some(allowed));
    assert_eq!(asked.header("Access-Control-Max-Age"), Some("3600"));
    let path = format!("/api/1/envelope/?sentry_key={}", key(&dsn));
    eventually("a running server knows the key", || {
        (post(&page, &path, b"{}").status == 200).then_some(())
    });
    let body = [
        &envelope("from a page")[..],
        b"{\"type\":\"session\"}\n{}\n{\"type\":\"client_report\"}\n",
        b"{\"discarded_events\":[{\"reason\":\"before_send\",\"category\":\"error\",\"quantity\":4}]}\n",
    ]
    .concat();
    let answer = post(&page, &path, &body).expect(200);
    let exposed = "X-Sentry-Rate-Limits, Retry-After, X-Sentry-Error";
    assert_eq!(answer.header("Access-Control-Expose-Headers"), Some(exposed));
    let limits = answer.header("X-Sentry-Rate-Limits").expect("limits");
    assert!(
        limits.starts_with("3600:transaction;span;") && limits.ends_with(":project:unsupported"),
        "{limits}"
    );
    page.get("/api/monitoring/errors").expect(403);
    page.post("/api/monitoring/errors", &json!({ "message": "m" }))
        .expect(403);
    let client = server.client();
    assert_eq!(found(&client, "from a page").len(), 1);
    let clients = client.get("/api/monitoring/stats").json()["clients"].clone();
    assert_eq!(
        (&clients["discarded"]["before_send"], &clients["skipped"]["session"]),
        (&json!(4), &json!(1))
    );
    assert!(
        mainstay(server.folder())
            .args(["source", "revoke", "web"])
            .status()
            .expect("runs")
            .success()
    );
    eventually("the key is refused", || {
        (post(&page, &path, b"{}").status != 200).then_some(())
    });
}

#[test]
fn bodies_come_packed_and_wrong_ones_are_refused() {
    let (_server, client, dsn) = with_source(&[]);
    let path = format!("/api/1/envelope/?sentry_key={}", key(&dsn));
    let store = path.replace("envelope", "store");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&envelope("packed")).expect("written");
    let gzip = gzip.finish().expect("packed");
    post(&client.with("Content-Encoding", "gzip"), &path, &gzip).expect(200);
    assert_eq!(found(&client, "packed").len(), 1);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(b"{\"message\":\"raven\"}").expect("written");
    post(&client, &store, &zlib.finish().expect("packed")).expect(200);
    assert_eq!(found(&client, "raven").len(), 1);
    let zstd = ruzstd::encoding::compress_to_vec(
        &b"{\"message\":\"zstd\"}\n\xff\n"[..],
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let lines = client.with("Content-Encoding", "zstd");
    let answer = lines
        .send("POST", "/api/monitoring/errors", Some(("application/x-ndjson", &zstd)))
        .expect(200)
        .json();
    assert_eq!(
        (&answer["accepted"], &answer["rejected"]),
        (&json!(1), &json!(1)),
        "{answer}"
    );

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).expect("written");
    let bomb = bomb.finish().expect("packed");
    assert!(bomb.len() < 1 << 20);
    for path in [path.as_str(), "/api/monitoring/errors"] {
        let send = |encoding: &str, body: &[u8]| {
            client
                .with("Content-Encoding", encoding)
                .send("POST", path, Some(("application/json", body)))
                .status
        };
        assert_eq!(
            (send("gzip", &bomb), send("gzip", b"no gzip"), send("gzip, br", &gzip)),
            (413, 400, 415),
            "{path}"
        );
        assert_eq!(send("lzma", &gzip), 415);
    }
    let unknown = client
        .with("Content-Encoding", "lzma")
        .send("POST", &path, Some(("text/plain", b"{}")));
    assert_eq!(unknown.header("Accept-Encoding"), Some("gzip, deflate, br, zstd"));
    post(&client, &path, b"no envelope").expect(400);
    post(&client, &path, &[&b"{}\n"[..], &b"{}\n{}\n".repeat(101)].concat()).expect(413);
    post(
        &client,
        &store,
        format!("{{\"message\":\"{}\"}}", "x".repeat(1 << 20)).as_bytes(),
    )
    .expect(413);
    post(&client.with("Content-Encoding", "br"), &path, &vec![0; (1 << 20) + 1]).expect(413);
}

#[derive(Debug, thiserror::Error)]
#[error("no price for {0}")]
struct NoPrice(&'static str, #[source] std::num::ParseIntError);

/// Reports with the unmodified SDK: a message, and an error with its cause, stack and surroundings.
fn report_by_sdk(dsn: &str, mark: &str) {
    let options = sentry::ClientOptions::new()
        .dsn(dsn)
        .release("shop@1.4.2")
        .environment("production")
        .in_app_include(["sentry::"])
        .attach_stacktrace(true);
    let client = Arc::new(sentry::Client::from_config(sentry::apply_defaults(options)));
    let hub = Arc::new(sentry::Hub::new(Some(Arc::clone(&client)), Arc::default()));
    sentry::Hub::run(hub, || {
        sentry::configure_scope(|scope| {
            scope.set_user(Some(sentry::User {
                id: Some("42".into()),
                email: Some("ann@example.com".into()),
                ..sentry::User::default()
            }));
            scope.set_tag("mark", mark);
        });
        sentry::add_breadcrumb(sentry::Breadcrumb {
            category: Some("cart".into()),
            message: Some("opened".into()),
            ..sentry::Breadcrumb::default()
        });
        sentry::capture_message(&format!("message {mark}"), sentry::Level::Warning);
        let error = NoPrice("tea", "x".parse::<i32>().expect_err("no number"));
        sentry::capture_error(&error);
    });
    assert!(client.close(Some(Duration::from_secs(30))), "all of it was sent");
}

/// What [`report_by_sdk`] sent is there, once, with everything in its place.
fn check_sdk_events(client: &Client, mark: &str) {
    let event = check_reported(client, mark);
    assert_eq!(event["causes"][0]["type"], "ParseIntError");
    assert_eq!(event["details"]["sdk"]["name"], "sentry.rust");
}

#[test]
fn an_unmodified_sdk_reports() {
    let (_server, client, dsn) = with_source(&[]);
    report_by_sdk(&dsn, "plain");
    check_sdk_events(&client, "plain");
}

#[test]
fn an_sdk_loses_nothing_while_the_event_database_is_locked_full_or_damaged() {
    let (server, client, dsn) = with_source(SHORT);
    report_by_sdk(&dsn, "before");
    check_sdk_events(&client, "before");
    trouble::in_each(
        &server,
        |mark| report_by_sdk(&dsn, mark),
        |mark| check_sdk_events(&client, mark),
    );
    check_sdk_events(&client, "before");
}

#[test]
fn an_sdk_that_hangs_up_loses_nothing() {
    let (server, client, dsn) = with_source(SHORT);
    let lock = server.hold_write_lock("events.db");
    let body = envelope("hung up");
    let mut stream = std::net::TcpStream::connect(server.url("").trim_start_matches("http://")).expect("connects");
    let head = format!(
        "POST /api/1/envelope/?sentry_key={} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        key(&dsn),
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).expect("sent");
    eventually("it came", || {
        let stats = client.get("/api/monitoring/stats").json();
        (stats["ledger"]["inFlight"] != 0 || stats["ledger"]["spooled"] != 0).then_some(())
    });
    drop(stream);
    lock.release();
    assert_eq!(found(&client, "hung up").len(), 1);
    let ledger = client.get("/api/monitoring/stats").json()["ledger"].clone();
    assert_eq!(
        (&ledger["dropped"]["interrupted"], &ledger["balanced"]),
        (&json!(0), &json!(true))
    );
}
