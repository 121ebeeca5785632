//! What of a Sentry event has no member of its own (floor 2, pure): logger, trace, contexts, extra, and the names of
//! what was left out.

use serde_json::{Map, Value};

use super::lenient::Notes;

/// Bounds of free JSON: how deep, and how long a text.
const FREE_DEPTH: usize = 12;
const FREE_TEXT_BYTES: usize = 16 << 10;

/// What has no member of its own.
pub(super) fn details(notes: &mut Notes, sent: &Value) -> Map<String, Value> {
    let mut details = Map::new();
    for (name, ours) in [
        ("platform", "platform"),
        ("logger", "logger"),
        ("server_name", "serverName"),
        ("transaction", "transaction"),
        ("dist", "dist"),
    ] {
        let text = notes.member("", sent, name, 1024);
        details.extend(text.map(|text| (ours.to_owned(), text.into())));
    }
    let trace = &sent["contexts"]["trace"];
    if let Some(trace_id) = notes.member("contexts.trace", trace, "trace_id", 64) {
        let mut kept = Map::from_iter([("traceId".to_owned(), trace_id.into())]);
        let span_id = notes.member("contexts.trace", trace, "span_id", 64);
        let op = notes.member("contexts.trace", trace, "op", 128);
        kept.extend(span_id.map(|id| ("spanId".to_owned(), id.into())));
        kept.extend(op.map(|op| ("op".to_owned(), op.into())));
        details.insert("trace".into(), kept.into());
    }
    if let Some(name) = notes.member("sdk", &sent["sdk"], "name", 128) {
        let mut kept = Map::from_iter([("name".to_owned(), name.into())]);
        let version = notes.member("sdk", &sent["sdk"], "version", 64);
        kept.extend(version.map(|version| ("version".to_owned(), version.into())));
        details.insert("sdk".into(), kept.into());
    }
    if let Value::Object(contexts) = &sent["contexts"] {
        let mut others = contexts.clone();
        others.remove("trace");
        if !others.is_empty() {
            let kept = notes.free("contexts", &Value::Object(others), FREE_DEPTH, FREE_TEXT_BYTES);
            details.insert("contexts".into(), kept);
        }
    }
    if sent["extra"].as_object().is_some_and(|extra| !extra.is_empty()) {
        let kept = notes.free("extra", &sent["extra"], FREE_DEPTH, FREE_TEXT_BYTES);
        details.insert("extra".into(), kept);
    }
    let dropped = std::mem::take(notes).into_names();
    if !dropped.is_empty() {
        details.insert("_dropped".into(), dropped.into());
    }
    details
}
