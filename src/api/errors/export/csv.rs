//! Events as rows of a table (floor 6, pure): RFC 4180, with a heading.
//!
//! What must stay true: a row has as many fields as the heading, and a field says what the event says, with two exceptions:
//! members that have members are JSON text, and a text that a spreadsheet would take for a formula has an apostrophe in
//! front, because the text of an event is somebody else's.

use std::fmt::Display;

use serde::Serialize;

use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::{LoggedEvent, UserId, culprit, group_name};

/// The members, in the order of the fields.
const MEMBERS: [&str; 26] = [
    "id",
    "timestamp",
    "receivedAt",
    "type",
    "severity",
    "assessedSeverity",
    "class",
    "message",
    "userId",
    "ip",
    "path",
    "requestId",
    "source",
    "release",
    "environment",
    "groupId",
    "occurrences",
    "culprit",
    "tags",
    "details",
    "exception",
    "causes",
    "request",
    "user",
    "breadcrumbs",
    "fingerprint",
];

/// What makes a spreadsheet take a text for a formula when it begins with it.
const BEGINS_FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The first row.
pub fn heading() -> Vec<u8> {
    format!("{}\r\n", MEMBERS.join(",")).into_bytes()
}

/// Appends an event's row.
pub fn row(logged: &LoggedEvent, out: &mut Vec<u8>) {
    let (event, extras) = (&logged.event, &logged.event.extras);
    let mut row = Row { out, is_begun: false };
    row.plain(event.id);
    row.plain(rfc3339_ms(from_epoch_ms(event.timestamp_ms)));
    row.plain(rfc3339_ms(from_epoch_ms(event.received_ms)));
    row.plain(event.kind);
    row.plain(event.severity);
    row.plain(event.assessed);
    row.plain(event.class.name());
    row.text(Some(&event.message));
    match &event.user_id {
        Some(UserId::Number(number)) => row.plain(number),
        Some(UserId::Text(text)) => row.text(Some(text)),
        None => row.text(None),
    }
    let texts = [&event.ip, &event.path, &event.request_id];
    texts.into_iter().for_each(|text| row.text(text.as_deref()));
    let texts = [&event.source, &event.release, &event.environment];
    texts.into_iter().for_each(|text| row.text(text.as_deref()));
    row.text(logged.group_id.map(group_name).as_deref());
    row.plain(logged.occurrences);
    row.text(extras.exception.as_ref().and_then(culprit).as_deref());
    row.json((!extras.tags.is_empty()).then_some(&extras.tags));
    row.json(extras.details.as_ref());
    row.json(extras.exception.as_ref());
    row.json((!extras.causes.is_empty()).then_some(&extras.causes));
    row.json(extras.request.as_ref());
    row.json(extras.user.as_ref());
    row.json((!extras.breadcrumbs.is_empty()).then_some(&extras.breadcrumbs));
    row.json((!extras.fingerprint.is_empty()).then_some(&extras.fingerprint));
    row.out.extend(b"\r\n");
}

struct Row<'o> {
    out: &'o mut Vec<u8>,
    is_begun: bool,
}

impl Row<'_> {
    fn separate(&mut self) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.out.push(b',');
        }
    }

    /// What never needs quotes.
    fn plain(&mut self, value: impl Display) {
        self.separate();
        self.out.extend(value.to_string().bytes());
    }

    /// What somebody wrote.
    fn text(&mut self, text: Option<&str>) {
        let text = text.unwrap_or_default();
        if text.starts_with(BEGINS_FORMULA) {
            self.quoted(&format!("'{text}"));
        } else {
            self.quoted(text);
        }
    }

    fn json(&mut self, value: Option<&impl Serialize>) {
        // Strings, numbers and raw JSON that was valid when it came in always serialise.
        let text = value.map(|value| serde_json::to_string(value).unwrap_or_default());
        self.quoted(text.as_deref().unwrap_or_default());
    }

    fn quoted(&mut self, text: &str) {
        self.separate();
        if text.contains(['"', ',', '\r', '\n']) {
            self.out.push(b'"');
            self.out.extend(text.replace('"', "\"\"").bytes());
            self.out.push(b'"');
        } else {
            self.out.extend(text.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::parse;

    fn fields(json: serde_json::Value) -> Vec<String> {
        let now = from_epoch_ms(1_750_000_000_000);
        let event = parse::event(&json.to_string(), now).unwrap();
        let mut out = Vec::new();
        let group_id = Some(7);
        row(
            &LoggedEvent {
                event,
                group_id,
                occurrences: 3,
                spooled: false,
            },
            &mut out,
        );
        let text = String::from_utf8(out).unwrap();
        let mut rest = text.strip_suffix("\r\n").unwrap();
        let mut fields = Vec::new();
        loop {
            let (field, after) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.replace("\"\"", "..").find('"').unwrap();
                    (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])
                }
                None => {
                    let end = rest.find(',').unwrap_or(rest.len());
                    (rest[..end].to_owned(), &rest[end..])
                }
            };
            fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return fields,
            }
        }
    }

    fn member(fields: &[String], name: &str) -> String {
        fields[MEMBERS.iter().position(|member| *member == name).unwrap()].clone()
    }

    #[test]
    fn every_member_has_its_field_and_quotes_are_doubled() {
        let fields = fields(serde_json::json!({
            "message": "a \"b\", c\r\nd", "userId": -5, "details": { "k": ["v,w", 1.50] }, "tags": { "t": "x" },
            "exception": { "type": "E", "frames": [{ "function": "f" }] }
        }));
        assert_eq!(fields.len(), MEMBERS.len());
        for (name, expected) in [
            ("timestamp", "2025-06-15T15:06:40.000Z"),
            ("class", "program_error"),
            ("message", "a \"b\", c\r\nd"),
            ("userId", "-5"),
            ("groupId", "E-7"),
            ("occurrences", "3"),
            ("culprit", "f"),
            ("tags", r#"{"t":"x"}"#),
            ("details", r#"{"k":["v,w",1.5]}"#),
            ("causes", ""),
        ] {
            assert_eq!(member(&fields, name), expected, "{name}");
        }
    }

    #[test]
    fn a_formula_is_a_text() {
        for begun in BEGINS_FORMULA {
            let text = format!("{begun}cmd|'/c calc'!A0");
            let fields = fields(serde_json::json!({ "message": text, "userId": text }));
            for name in ["message", "userId"] {
                assert_eq!(member(&fields, name), format!("'{text}"));
            }
        }
    }
}
