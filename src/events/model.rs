//! What an error event is (floor 2, pure): its members and their closed lists of values.
//!
//! What must stay true: the numbers of [`ErrorType`] and [`Severity`] are stored in events.db and never change;
//! an [`ErrorEvent`] is complete (id, time, class) from the moment it exists, so that the spool can carry it as it is.
//! Made by the parser and by capture; anyone may read it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::classify::Class;
use super::context::{Breadcrumb, RequestInfo, SourceLines, User};

/// Which part of a system an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorType {
    /// A database or the layer in front of it.
    Database,
    /// A connection to something else.
    Socket,
    /// A request and its answer.
    Api,
    /// Everything else.
    System,
}

/// How bad an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Informational.
    Low,
    /// Worth a look.
    Medium,
    /// Service suffers.
    High,
    /// Data or all service at risk.
    Critical,
}

impl ErrorType {
    /// Every type, by its number.
    pub const ALL: [ErrorType; 4] = [Self::Database, Self::Socket, Self::Api, Self::System];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Socket => "socket",
            Self::Api => "api",
            Self::System => "system",
        }
    }

    /// The number in events.db.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The type of a word on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The type of a number in events.db; an unknown one reads as `System`.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::System)
    }
}

impl Severity {
    /// Every severity, by its number, mildest first.
    pub const ALL: [Severity; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The number in events.db.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The severity of a word on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The severity of a number in events.db; an unknown one reads as `Medium`.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Medium)
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom an error happened to; a number stays a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserId {
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

/// One frame of a stack, innermost last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Frame {
    /// The module or class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The function or method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where the source file is, when that says more than its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abs_path: Option<String>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Whether it is the application's own code; unknown counts as yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_app: Option<bool>,
    /// The source around the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<SourceLines>,
}

/// What was thrown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Its type's name.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its type is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Whether the program caught it; unknown when it doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<bool>,
    /// Its stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<Frame>,
}

/// The members without a column of their own; stored together as one JSON text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Extras {
    /// Any JSON, whitespace outside strings removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
    /// Names and values to search by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What was thrown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
    /// What caused the exception, the nearest cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Exception>,
    /// The client's own grouping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprint: Vec<String>,
    /// What happened before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breadcrumbs: Vec<Breadcrumb>,
    /// The request during which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestInfo>,
    /// The person it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
}

impl Extras {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.details.is_none()
            && self.exception.is_none()
            && self.request.is_none()
            && self.user.is_none()
            && self.tags.is_empty()
            && self.causes.is_empty()
            && self.fingerprint.is_empty()
            && self.breadcrumbs.is_empty()
    }
}

/// One error event, complete. Serialised as it is into the spool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEvent {
    /// Unique; a second event with the same id is the same event.
    pub id: Uuid,
    /// When it happened, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// When it came here, milliseconds since the epoch.
    pub received_ms: i64,
    /// Which part of a system it comes from.
    #[serde(rename = "type")]
    pub kind: ErrorType,
    /// The sender's severity, or ours when it sent none.
    pub severity: Severity,
    /// Our severity.
    pub assessed: Severity,
    /// What kind of trouble it is.
    pub class: Class,
    /// What happened.
    pub message: String,
    /// Whom it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The request's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The program that reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Where it runs: production, staging …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Everything else.
    #[serde(default)]
    pub extras: Extras,
}
