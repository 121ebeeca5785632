//! The real binary over loopback against an empty Rocket route with the same bodies, in one run.
//!
//! `cargo bench --bench http` (`-- --quick` only checks that it runs; `-- read`, `-- event` and `-- document` measure one
//! kind of request alone). One load thread with 64 keep-alive connections;
//! rounds of both servers take turns. The real server has its default settings and writes its access log to its file
//! as in production. Loopback only; at most [`MOST_TIME`]; the servers end with this process, on a panic too.

#[path = "../common/mod.rs"]
mod common;

mod baseline;
mod client;
mod servers;

use std::time::Duration;

use rocket::tokio;

use client::{Load, Target};
use common::{Extent, Table, cores, folder, median, quantile, ratio};
use servers::Running;

const CONNECTIONS: usize = 64;
const MOST_TIME: Duration = Duration::from_secs(90);
const DOCUMENT: &str = r#"{"title":"Groceries","text":"milk, bread, apples, coffee, a cake for Sunday","done":false,"priority":3,"tags":["home","week 32"],"due":"2025-08-09"}"#;
const EVENT: &str = r#"{"type":"api","severity":"medium","message":"Payment 8125 was refused by the provider","userId":4211,"path":"/api/payments","source":"shop","release":"1.4.2","environment":"production","details":{"provider":"example","status":402,"attempt":2},"tags":{"region":"eu"},"exception":{"type":"PaymentRefused","value":"insufficient funds"}}"#;

/// The kinds of requests, as the command line names them.
const PARTS: [&str; 3] = ["read", "event", "document"];

/// What is asked of both servers.
struct Scenario {
    part: &'static str,
    name: &'static str,
    goal: &'static str,
    /// One request for each connection to the real server.
    real: Vec<Vec<u8>>,
    /// The same to the empty route.
    empty: Vec<u8>,
}

#[derive(Default)]
struct Measured {
    per_second: Vec<f64>,
    micros: Vec<u32>,
    processor_seconds: Option<f64>,
}

impl Measured {
    fn add(&mut self, load: Load) {
        self.per_second.push(load.per_second);
        self.micros.extend(load.micros);
    }

    /// Processor time of the server for each request.
    fn processor_micros(&self) -> String {
        let each = self
            .processor_seconds
            .map(|seconds| seconds * 1e6 / self.micros.len() as f64);
        each.map_or_else(|| "?".to_owned(), |each| format!("{each:.1}"))
    }

    fn cells(&mut self) -> Vec<String> {
        let milliseconds = |micros: u32| format!("{:.2}", f64::from(micros) / 1000.0);
        vec![
            format!("{:.0}", median(&self.per_second)),
            milliseconds(quantile(&mut self.micros, 0.5)),
            milliseconds(quantile(&mut self.micros, 0.99)),
            self.processor_micros(),
        ]
    }
}

fn main() {
    if baseline::was_asked_for() {
        return baseline::serve();
    }
    let extent = Extent::of_parts(&PARTS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let all = runtime.block_on(async { tokio::time::timeout(MOST_TIME, compare(extent)).await });
    all.expect("it takes at most 90 s");
}

async fn compare(extent: Extent) {
    let folder = folder();
    let real = Running::mainstay(folder.path());
    let documents = prepare(&real).await;
    let get: Vec<_> = documents.iter().map(|path| real.request("GET", path, "")).collect();
    let post_event = real.request("POST", "/api/monitoring/errors", EVENT);
    let post_document = real.request("POST", "/api/data/notes", DOCUMENT);
    let mut sizes = [0; 3];
    for (size, request) in sizes.iter_mut().zip([&get[0], &post_event, &post_document]) {
        *size = client::once(real.address, request).await.len();
    }
    let empty = Running::baseline(sizes);
    let scenario = |part, name, goal, real, empty| Scenario {
        part,
        name,
        goal,
        real,
        empty,
    };
    let scenarios = [
        scenario(
            "read",
            "GET of one document",
            "0.75",
            get,
            empty.request("GET", "/document", ""),
        ),
        scenario(
            "event",
            "POST of one event, durable",
            "0.50",
            vec![post_event; CONNECTIONS],
            empty.request("POST", "/event", EVENT),
        ),
        scenario(
            "document",
            "POST of one document, durable",
            "",
            vec![post_document; CONNECTIONS],
            empty.request("POST", "/document", DOCUMENT),
        ),
    ];
    println!(
        "Mainstay against empty Rocket routes in one run: {CONNECTIONS} connections, one load thread, {} cores.\n",
        cores()
    );
    let idle = real.resident_mib();
    let mut table = Table::new(&[
        "requests",
        "server",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "ratio",
        "goal",
    ]);
    for scenario in scenarios.iter().filter(|scenario| extent.wants(scenario.part)) {
        measure(extent, scenario, &real, &empty, &mut table).await;
    }
    table.print();
    println!(
        "resident memory of Mainstay: idle {idle} MiB, after the load {} MiB",
        real.resident_mib()
    );
}

/// Makes the collection and one document for each connection; gives their paths.
async fn prepare(real: &Running) -> Vec<String> {
    client::once(real.address, &real.request("PUT", "/api/data/notes", "{}")).await;
    let mut paths = Vec::new();
    for number in 0..CONNECTIONS {
        let path = format!("/api/data/notes/bench-{number}");
        client::once(real.address, &real.request("PUT", &path, DOCUMENT)).await;
        paths.push(path);
    }
    paths
}

async fn measure(extent: Extent, scenario: &Scenario, real: &Running, empty: &Running, table: &mut Table) {
    let (warm, lasting) = extent.pick((500, 1500), (100, 200));
    let (warm, lasting) = (Duration::from_millis(warm), Duration::from_millis(lasting));
    let targets = [
        (
            empty,
            Target::new(empty.address, vec![scenario.empty.clone(); CONNECTIONS]),
        ),
        (real, Target::new(real.address, scenario.real.clone())),
    ];
    let mut measured = [Measured::default(), Measured::default()];
    for (_, target) in &targets {
        target.load(warm).await;
    }
    let before = targets.each_ref().map(|(server, _)| server.processor_seconds());
    for _ in 0..extent.pick(5, 1) {
        for ((_, target), measured) in targets.iter().zip(&mut measured) {
            measured.add(target.load(lasting).await);
        }
    }
    for (((server, _), measured), before) in targets.iter().zip(&mut measured).zip(before) {
        measured.processor_seconds = server
            .processor_seconds()
            .zip(before)
            .map(|(after, before)| after - before);
    }
    let [theirs, ours] = measured;
    report(scenario, theirs, ours, table);
}

fn report(scenario: &Scenario, mut theirs: Measured, mut ours: Measured, table: &mut Table) {
    let pairs = ours.per_second.iter().zip(&theirs.per_second);
    let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ratio(*ours, *theirs)).collect();
    let named = |name: &str, server: &str| vec![name.to_owned(), server.to_owned()];
    let nothing = vec![String::new(), String::new()];
    table.row([named(scenario.name, "empty route"), theirs.cells(), nothing].concat());
    let compared = vec![format!("{:.2}", median(&ratios)), scenario.goal.to_owned()];
    table.row([named("", "Mainstay"), ours.cells(), compared].concat());
}
