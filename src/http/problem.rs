//! The one error response: RFC 9457 problems with Mainstay's members (floor 5).
//!
//! What must stay true: `code` comes from the closed list; nothing internal (SQL, paths, SQLite's text) reaches a
//! client; a database's failure is a 503 or 504, never a 404 and never the client's fault. Handlers and guards make
//! problems; the skin's fairing reads from the request's trace which one went out.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::code::Code;
use super::databases::Databases;
use super::trace::{SeenProblem, Trace};
use crate::db::DbError;

/// What is wrong with one member of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer to the member, or the parameter's name.
    pub pointer: String,
    /// What is wrong and what is allowed.
    pub detail: String,
}

impl FieldError {
    /// One field's error.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }

    /// The error of a body's member, by its name.
    pub fn member(name: &str, detail: impl Into<String>) -> Self {
        Self::new(format!("/{}", name.replace('~', "~0").replace('/', "~1")), detail)
    }
}

/// A problem on its way out; handlers return it as their `Err`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

/// What a problem is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Which.
    pub code: Code,
    /// A sentence for the person who reads it.
    pub detail: String,
    /// Member by member, on 400 and 422.
    pub errors: Vec<FieldError>,
    /// Seconds until a retry makes sense, on 429 and 503.
    pub retry_after: Option<u64>,
    /// Further members (`currentVersion` on 412, say).
    pub extra: BTreeMap<&'static str, Value>,
    /// Further headers (`Allow`, `WWW-Authenticate`).
    pub headers: Vec<(&'static str, String)>,
    /// For the log and the event: what really happened. Never sent.
    pub internal: Option<DbError>,
}

impl Deref for Problem {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

/// What handlers return.
pub type ApiResult<T> = Result<T, Problem>;

impl Problem {
    /// A problem with its sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extra: BTreeMap::new(),
            headers: Vec::new(),
            internal: None,
        }))
    }

    /// 400 that names the parameter or member and what is allowed.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError::new(pointer, detail);
        let mut made = Self::new(Code::InvalidRequest, format!("{}: {}", error.pointer, error.detail));
        made.errors.push(error);
        made
    }

    /// 422 with every member that is wrong.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(String::new, |e| match e.pointer.as_str() {
            "" => format!("The body {}", e.detail),
            pointer => format!("{pointer} {}", e.detail),
        });
        let mut made = Self::new(Code::ValidationFailed, detail);
        made.errors = errors;
        made
    }

    /// The same with the seconds until a retry makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status it is sent with.
    pub fn status(&self) -> Status {
        Status::new(self.code.row().1)
    }

    fn body(&self, request_id: &str, database_healthy: Option<bool>) -> Value {
        let (code, status, title) = self.code.row();
        let mut body = Map::new();
        body.insert(
            "type".into(),
            json!(format!("/docs/problems/{}", code.replace('_', "-"))),
        );
        body.insert("title".into(), json!(title));
        body.insert("status".into(), json!(status));
        body.insert("detail".into(), json!(self.detail));
        body.insert("code".into(), json!(code));
        body.insert("requestId".into(), json!(request_id));
        body.insert("error".into(), json!(true));
        body.insert("message".into(), json!(title));
        if !self.errors.is_empty() {
            body.insert("errors".into(), json!(self.errors));
        }
        if let (429 | 503, Some(seconds)) = (status, self.retry_after) {
            body.insert("retryAfter".into(), json!(seconds));
        }
        if let (503, Some(healthy)) = (status, database_healthy) {
            body.insert("systemStatus".into(), json!({ "databaseHealthy": healthy }));
        }
        body.extend(
            self.extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        Value::Object(body)
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(mut self, request: &'r Request<'_>) -> response::Result<'static> {
        let trace = Trace::of(request);
        let status = self.status();
        let mut healthy = None;
        if status.code == 503 {
            self.retry_after.get_or_insert(1);
            // What just failed is not healthy, whatever the last probe found.
            let failed = self.internal.as_ref().is_some_and(DbError::shows_trouble);
            healthy = request
                .rocket()
                .state::<Arc<Databases>>()
                .map(|databases| !failed && databases.are_healthy());
        }
        let body = self.body(&trace.id, healthy).to_string();
        let mut response = Response::build();
        response
            .status(status)
            .header(ContentType::new("application", "problem+json"));
        response.header(Header::new("Cache-Control", "no-store"));
        if let Some(seconds) = self.retry_after {
            response.header(Header::new("Retry-After", seconds.to_string()));
        }
        for (name, value) in std::mem::take(&mut self.headers) {
            response.header(Header::new(name, value));
        }
        trace.remember(SeenProblem {
            code: self.code,
            internal: self.internal.take(),
        });
        response.sized_body(body.len(), Cursor::new(body)).ok()
    }
}

mod from_database;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ErrorKind;
    use crate::db::classify::Told;
    use std::time::Duration;

    fn problem(kind: ErrorKind) -> Problem {
        DbError::new("app", "test", kind)
            .with_detail("secret.db: SELECT")
            .into()
    }

    #[test]
    fn a_databases_failure_is_never_the_clients_fault_and_shows_nothing_internal() {
        for code in [5, 10, 11, 13, 14, 26, 266, 1034, 7] {
            let made = problem(ErrorKind::Sqlite { code });
            assert_eq!(made.status().code, 503, "{code}");
            assert!(!made.body("id", None).to_string().contains("secret"), "{code}");
        }
        assert_eq!(problem(ErrorKind::DeadlineExceeded).status().code, 504);
        assert_eq!(problem(ErrorKind::Sqlite { code: 2067 }).status().code, 409);
        assert_eq!(problem(ErrorKind::Sqlite { code: 1 }).status().code, 500);
    }

    #[test]
    fn an_open_breaker_says_when_to_come_back_and_what_is_wrong() {
        let kind = ErrorKind::CircuitOpen {
            cause: "SQLite FULL (13)".into(),
            told: Told::ReadOnly,
        };
        let made = Problem::from(DbError::new("app", "t", kind).with_retry_after(Duration::from_millis(11_200)));
        assert_eq!((made.code, made.retry_after), (Code::DatabaseReadOnly, Some(12)));
        let body = made.body("0192", Some(false));
        assert_eq!(body["retryAfter"], 12);
        assert_eq!(body["systemStatus"]["databaseHealthy"], false);
        assert_eq!(body["error"], true);
    }

    #[test]
    fn retry_members_appear_only_where_they_belong() {
        let made = problem(ErrorKind::Sqlite { code: 2067 });
        let body = made.body("0192", Some(true));
        assert!(body.get("retryAfter").is_none() && body.get("systemStatus").is_none());
    }

    #[test]
    fn codes_are_distinct() {
        let mut names: Vec<_> = Code::ALL.iter().map(|c| c.row().0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
