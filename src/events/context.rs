//! What surrounded an error (floor 2, pure): what happened before it, the request and the person it happened to, and
//! the place in the source that a developer looks at first.
//!
//! What must stay true: stored as JSON with the event, so members may be added and are never renamed; no member holds
//! a cookie or a credential. Made by the parser and by the Sentry mapping; anyone may read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::group::is_shown_as_own;
use super::model::{Exception, Frame, UserId};

/// Most breadcrumbs of one event; older ones are left out.
pub const MAX_BREADCRUMBS: usize = 100;
/// Most causes of one exception.
pub const MAX_CAUSES: usize = 16;

/// Headers that carry credentials; they are never stored.
const SECRET_HEADERS: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-csrftoken",
    "x-xsrf-token",
];

/// Whether a header of this name carries a credential.
pub fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

/// The source around a frame's line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceLines {
    /// The lines before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The line itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub line: String,
    /// The lines after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// Something that happened before the error.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Breadcrumb {
    /// When; RFC 3339 in UTC with milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Which kind: `http`, `navigation`, `query` …
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it comes from: a logger's or a component's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How bad it was, in the sender's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// The request during which it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestInfo {
    /// `GET`, `POST` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The whole URL, as the reporting program saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its headers without those that carry credentials.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// The person it happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The reporting program's id of them; the event's `userId` is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<UserId>,
    /// Their address for mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What they are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// Where a developer looks first: the innermost frame of the application's own code, else the innermost of all, as
/// `function (file:line)`.
pub fn culprit(exception: &Exception) -> Option<String> {
    let frames = &exception.frames;
    let own = frames.iter().rev().find(|frame| frame.in_app == Some(true));
    // Who marks none of them may not know; who marks some as foreign means the others.
    let unmarked = || frames.iter().rev().filter(|frame| frame.in_app.is_none());
    own.or_else(|| unmarked().find(|frame| is_shown_as_own(frame)))
        .or_else(|| unmarked().next())
        .or(frames.last())
        .and_then(place)
}

fn place(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref().or(frame.module.as_deref());
    let at = file.map(|file| match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    });
    match (frame.function.as_deref(), at) {
        (Some(function), Some(at)) => Some(format!("{function} ({at})")),
        (Some(function), None) => Some(function.to_owned()),
        (None, at) => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, in_app: Option<bool>) -> Frame {
        Frame {
            function: Some(function.to_owned()),
            file: Some(format!("{function}.py")),
            line: Some(7),
            in_app,
            ..Frame::default()
        }
    }

    fn of(frames: Vec<Frame>) -> Option<String> {
        culprit(&Exception {
            frames,
            ..Exception::default()
        })
    }

    #[test]
    fn the_innermost_own_frame_is_the_culprit() {
        let (own, foreign) = (Some(true), Some(false));
        assert_eq!(of(vec![]), None);
        assert_eq!(
            of(vec![frame("main", own), frame("pay", own), frame("send", foreign)]).as_deref(),
            Some("pay (pay.py:7)")
        );
        assert_eq!(
            of(vec![frame("main", None), frame("send", foreign)]).as_deref(),
            Some("main (main.py:7)")
        );
        let library = Frame {
            file: Some("/app/vendor/x/y.py".to_owned()),
            ..frame("call", None)
        };
        assert_eq!(
            of(vec![frame("main", None), library]).as_deref(),
            Some("main (main.py:7)"),
            "known by its place"
        );
        assert_eq!(of(vec![frame("send", foreign)]).as_deref(), Some("send (send.py:7)"));
    }

    #[test]
    fn credentials_are_known_whatever_their_case() {
        assert!(is_secret_header("Cookie") && is_secret_header("AUTHORIZATION"));
        assert!(!is_secret_header("User-Agent"));
    }
}
