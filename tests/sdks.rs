//! Unmodified Sentry SDKs in other languages against the real binary, each also while events.db is locked, full or
//! damaged: sentry-sdk for Python, @sentry/node, and @sentry/browser in a real Chromium on a page of another origin.
//!
//! `tests/run` installs them (tests/sdk/) and says where in MAINSTAY_TEST_SDKS; then
//! `cargo test --test sdks -- --ignored`. Only loopback is talked to.

#[allow(dead_code, reason = "the dashboard's tests use the rest")]
mod chromium;
mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use chromium::Tab;
use common::source::{check_reported, with_source};
use common::{SHORT, eventually, trouble};
use serde_json::{Value, json};

/// The folder that `tests/run` installed the SDKs into.
fn installed(path: &str) -> PathBuf {
    let folder = std::env::var_os("MAINSTAY_TEST_SDKS").expect("MAINSTAY_TEST_SDKS says where the SDKs are");
    let path = Path::new(&folder).join(path);
    assert!(path.exists(), "{} is missing: run tests/run", path.display());
    path
}

/// A script of tests/sdk.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(name)
}

/// Runs a program that reports; nothing of the developer's settings reaches it.
fn run(command: &mut Command, settings: &[(&str, &PathBuf)]) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ended = command
        .env_clear()
        .env("PATH", path)
        .envs(settings.iter().copied())
        .output()
        .expect("runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Lets `report` report to a sound server, and while events.db is locked, full or damaged.
fn each_way(report: impl Fn(&str, &str)) {
    let (server, client, dsn) = with_source(SHORT);
    report(&dsn, "plain");
    let event = check_reported(&client, "plain");
    let culprit = event["culprit"].as_str().expect("a culprit");
    assert!(culprit.contains("pay"), "{event:#}");
    let check = |mark: &str| {
        check_reported(&client, mark);
    };
    trouble::in_each(&server, |mark| report(&dsn, mark), check);
    check("plain");
}

/// Lets `report` send twenty events where its source may send three: the SDK keeps the rest to itself, as the answer asks it
/// to, and what it tells of that at its end is counted.
fn limited(report: impl FnOnce(&str)) {
    let (_server, client, dsn) = with_source(&[("MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE", "3")]);
    report(&dsn);
    let held_back = |stats: &Value| stats["clients"]["discarded"]["ratelimit_backoff"].as_u64();
    let stats = eventually("the SDK tells what it held back", || {
        let stats = client.get("/api/monitoring/stats").expect(200).json();
        held_back(&stats).is_some().then_some(stats)
    });
    let ledger = &stats["ledger"];
    let refused = ledger["dropped"]["rateLimited"].as_u64().expect("a number");
    assert_eq!(ledger["stored"], 3, "{stats:#}");
    assert_eq!((refused, held_back(&stats)), (1, Some(16)), "{stats:#}");
    assert_eq!(ledger["balanced"], true);
}

#[test]
#[ignore = "needs sentry-sdk"]
fn python() {
    let python = installed("python/bin/python3");
    each_way(|dsn, mark| run(Command::new(&python).arg(script("report.py")).args([dsn, mark]), &[]));
    limited(|dsn| run(Command::new(&python).arg(script("many.py")).arg(dsn), &[]));
}

#[test]
#[ignore = "needs @sentry/node"]
fn node() {
    let modules = installed("node/node_modules");
    each_way(|dsn, mark| {
        let mut node = Command::new("node");
        run(
            node.arg(script("report.js")).args([dsn, mark]),
            &[("NODE_PATH", &modules)],
        );
    });
    limited(|dsn| {
        let mut node = Command::new("node");
        run(node.arg(script("many.js")).arg(dsn), &[("NODE_PATH", &modules)]);
    });
}

#[test]
#[ignore = "needs @sentry/browser and Chromium"]
fn browser() {
    let bundle = std::fs::read(installed("node/page.js")).expect("the bundle");
    let page = serve_page(bundle);
    let tab = Tab::open(&page);
    each_way(|dsn, mark| {
        tab.go(&page);
        assert_eq!(
            tab.value(&format!("report({}, {})", json!(dsn), json!(mark))),
            json!(true)
        );
    });
    tab.close();
}

/// A page with the bundle, on an origin of its own.
fn serve_page(bundle: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A browser that goes away in the middle is no fault.
            let _ = stream.and_then(|stream| answer(stream, &bundle));
        }
    });
    format!("http://{address}/")
}

fn answer(mut stream: TcpStream, bundle: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    const PAGE: &[u8] = b"<!doctype html><title>Shop</title><link rel=icon href=data:,><script src=/page.js></script>";
    let (kind, body) = match asked.split(' ').nth(1) {
        Some("/page.js") => ("text/javascript", bundle),
        _ => ("text/html", PAGE),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}
