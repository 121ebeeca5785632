//! Breadcrumbs, request and user of a Sentry event (floor 2, pure).
//!
//! What must stay true: no cookie and no credential is taken over, whatever the SDK's own settings let through.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::lenient::{self, Notes};
use super::time;
use crate::clock::rfc3339_ms;
use crate::events::context::{Breadcrumb, MAX_BREADCRUMBS, RequestInfo, User, is_secret_header};
use crate::events::model::UserId;

const MAX_HEADERS: usize = 64;
/// Bounds of a breadcrumb's data.
const DATA_DEPTH: usize = 5;
const DATA_TEXT_BYTES: usize = 2048;
/// What an SDK sends for the address of whoever sends.
const AUTOMATIC: &str = "{{auto}}";

/// The newest of them, oldest first.
pub(super) fn breadcrumbs(notes: &mut Notes, sent: &Value) -> Vec<Breadcrumb> {
    let all = lenient::values(sent);
    if all.is_empty() && !matches!(sent, Value::Null | Value::Array(_) | Value::Object(_)) {
        notes.add("breadcrumbs");
    }
    let skipped = all.len().saturating_sub(MAX_BREADCRUMBS);
    if skipped > 0 {
        notes.add("breadcrumbs");
    }
    let newest = all[skipped..].iter().filter(|one| one.is_object());
    newest.map(|one| breadcrumb(notes, one)).collect()
}

fn breadcrumb(notes: &mut Notes, sent: &Value) -> Breadcrumb {
    const OF: &str = "breadcrumbs";
    let data = sent.get("data").filter(|data| match data {
        Value::Object(members) => !members.is_empty(),
        other => !other.is_null(),
    });
    let data = data.map(|data| notes.free("breadcrumbs.data", data, DATA_DEPTH, DATA_TEXT_BYTES));
    Breadcrumb {
        timestamp: time::of(&sent["timestamp"]).map(rfc3339_ms),
        kind: notes.member(OF, sent, "type", 64).filter(|kind| kind != "default"),
        category: notes.member(OF, sent, "category", 256),
        level: notes.member(OF, sent, "level", 32),
        message: notes.member(OF, sent, "message", 4096),
        data: data.and_then(|data| serde_json::value::to_raw_value(&data).ok()),
    }
}

pub(super) fn request(notes: &mut Notes, sent: &Value) -> Option<RequestInfo> {
    const OF: &str = "request";
    if !sent.is_object() {
        if !sent.is_null() {
            notes.add(OF);
        }
        return None;
    }
    let mut url = notes.member(OF, sent, "url", 4096);
    // Some SDKs send the query apart from the URL, some in both places.
    if let (Some(url), Some(query)) = (&mut url, query(notes, &sent["query_string"]))
        && !url.contains('?')
    {
        url.push('?');
        url.push_str(query.trim_start_matches('?'));
        lenient::shorten(url, 4096);
    }
    let request = RequestInfo {
        method: notes.member(OF, sent, "method", 32),
        url,
        headers: headers(notes, &sent["headers"]),
    };
    (request != RequestInfo::default()).then_some(request)
}

fn query(notes: &mut Notes, sent: &Value) -> Option<String> {
    let Some(pairs) = lenient::pairs(sent) else {
        return notes.text("request.query_string", sent, 2048);
    };
    let shown = |(name, value): &(&str, &Value)| format!("{name}={}", value.as_str().unwrap_or(""));
    let query = pairs.iter().map(shown).collect::<Vec<_>>().join("&");
    (!query.is_empty()).then_some(query)
}

fn headers(notes: &mut Notes, sent: &Value) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in lenient::pairs(sent).unwrap_or_default() {
        if name.is_empty() || is_secret_header(name) {
            continue;
        }
        if headers.len() == MAX_HEADERS || name.len() > 200 {
            notes.add("request.headers");
            continue;
        }
        // A header that came several times is a list of its values.
        let text = match value {
            Value::Array(values) => {
                let all: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                notes.text("request.headers", &all.join(", ").into(), 4096)
            }
            one => notes.text("request.headers", one, 4096),
        };
        headers.extend(text.map(|text| (name.to_owned(), text)));
    }
    headers
}

/// The person; `peer` is who sends, for SDKs that ask for that address.
pub(super) fn user(notes: &mut Notes, sent: &Value, peer: Option<&str>) -> Option<User> {
    const OF: &str = "user";
    if !sent.is_object() {
        if !sent.is_null() {
            notes.add(OF);
        }
        return None;
    }
    let id = match &sent["id"] {
        Value::Number(number) if number.is_i64() => number.as_i64().map(UserId::Number),
        other => notes.text("user.id", other, 256).map(UserId::Text),
    };
    let ip = match sent["ip_address"].as_str() {
        Some(AUTOMATIC) => peer.map(str::to_owned),
        Some(text) => {
            let address = text.parse::<IpAddr>().ok().map(|address| address.to_string());
            if address.is_none() && !text.is_empty() {
                notes.add("user.ip_address");
            }
            address
        }
        None => None,
    };
    let user = User {
        id,
        email: notes.member(OF, sent, "email", 256),
        username: notes
            .member(OF, sent, "username", 256)
            .or_else(|| notes.member(OF, sent, "name", 256)),
        ip,
    };
    (user != User::default()).then_some(user)
}

/// The request's path: of its URL, else of a transaction that is named by one (`GET /pay`).
pub(super) fn path(request: Option<&RequestInfo>, transaction: Option<&str>) -> Option<String> {
    let of_url = request.and_then(|request| {
        let url = request.url.as_deref()?;
        let after = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = &after[after.find('/')?..];
        path.split(['?', '#']).next()
    });
    let of_transaction = || {
        let name = transaction?;
        let last = name.rsplit(' ').next()?;
        last.starts_with('/').then_some(last)
    };
    let mut path = of_url.or_else(of_transaction)?.to_owned();
    lenient::shorten(&mut path, 2048);
    Some(path)
}
