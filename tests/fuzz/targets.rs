//! What is fuzzed: one function for each parser that reads what strangers send. Each checks what must hold of any
//! input, and panics when it doesn't. Shared by the targets of cargo-fuzz (fuzz/) and by the bounded run in
//! `cargo test` (tests/fuzz/main.rs).

use jiff::Timestamp;
use mainstay::events::query::{Filter, search};
use mainstay::events::sentry::{self, Arrival, Report, Unusable};
use mainstay::events::{ErrorEvent, LoggedEvent, parse};
use mainstay::http::encoding::{Encoding, unpack};
use uuid::Uuid;

/// Most bytes that the decompression target lets out.
pub const UNPACKED_BYTES: usize = 1 << 20;

fn now() -> Timestamp {
    Timestamp::from_second(1_750_000_000).expect("a time")
}

/// What every event that was taken keeps, wherever it comes from.
fn check(event: &ErrorEvent) {
    assert!(!event.id.is_nil());
    assert!(
        (1..=parse::MAX_MESSAGE_BYTES).contains(&event.message.len()),
        "{}",
        event.message.len()
    );
    assert!(event.timestamp_ms <= now().as_millisecond() + 24 * 3_600_000);
    let extras = &event.extras;
    assert!(extras.tags.len() <= 66 && extras.causes.len() <= 16 && extras.breadcrumbs.len() <= 100);
    let headers = extras.request.iter().flat_map(|request| request.headers.keys());
    assert!(headers.into_iter().all(|name| !name.eq_ignore_ascii_case("cookie")));
    // The spool carries it as JSON; what can't be read back would be lost there.
    let kept = serde_json::to_string(event).expect("it serialises");
    assert!(
        kept.len() < 8 << 20,
        "{} bytes are more than the spool reads back",
        kept.len()
    );
    let back: ErrorEvent = serde_json::from_str(&kept).expect("it reads back");
    assert_eq!(serde_json::to_string(&back).expect("it serialises"), kept);
    // And an export comes back as it was.
    let written = line(event.clone(), 3);
    let back = parse::exported(&written, now(), || unreachable!("it has an id"));
    let back = back.unwrap_or_else(|flaws| panic!("{flaws:?} in {written}"));
    assert_eq!(line(back.event, back.occurrences), written);
}

/// An event as an export writes it.
fn line(event: ErrorEvent, occurrences: u32) -> String {
    let logged = LoggedEvent {
        event,
        group_id: Some(1),
        occurrences,
        spooled: false,
    };
    serde_json::to_string(&logged).expect("it serialises")
}

/// An envelope, and the same bytes as one event.
pub fn envelope(data: &[u8]) {
    let arrival = Arrival {
        now: now(),
        source: "fuzz".to_owned(),
        peer: Some("192.0.2.1".to_owned()),
    };
    let reports = [sentry::envelope(data, &arrival), sentry::store(data, &arrival)];
    for report in reports.into_iter().filter_map(usable) {
        assert!(report.events.len() + report.skipped.len() <= sentry::MAX_ITEMS);
        report.events.iter().for_each(check);
    }
    sentry::dsn_of_envelope(data);
}

fn usable(read: Result<Report, Unusable>) -> Option<Report> {
    read.ok()
}

/// NDJSON, and the same bytes as one array and as one event.
pub fn ndjson(data: &[u8]) {
    let lines = parse::ndjson_items(data).unwrap_or_default();
    assert!(lines.len() <= parse::MAX_ITEMS);
    let mut items: Vec<&str> = lines.into_iter().flatten().collect();
    if let Ok(text) = std::str::from_utf8(data) {
        items.extend(parse::array_items(text).unwrap_or_default());
        items.extend(parse::single_item(text));
    }
    for item in items {
        match parse::event(item, now()) {
            Ok(event) => check(&event),
            Err(flaws) => assert!(!flaws.is_empty()),
        }
        match parse::exported(item, now(), || Uuid::from_u128(1)) {
            Ok(taken) => check(&taken.event),
            Err(flaws) => assert!(!flaws.is_empty()),
        }
    }
}

/// What somebody types into the search.
pub fn search(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut filter = Filter::default();
    match search::compile(&text, &mut filter) {
        Ok(()) => assert_ne!(filter, Filter::default(), "it asks for something"),
        Err(why) => assert!(!why.is_empty() && why.len() < 1000, "{why}"),
    }
}

/// A packed body; the first byte chooses how.
pub fn decompression(data: &[u8]) {
    const ENCODINGS: [Encoding; 5] = [
        Encoding::Identity,
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
    ];
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let encoding = ENCODINGS[usize::from(*first) % ENCODINGS.len()];
    if let Ok(out) = unpack(encoding, body, UNPACKED_BYTES) {
        assert!(out.len() <= UNPACKED_BYTES);
    }
}
