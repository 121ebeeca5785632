//! Exceptions and their frames (floor 2, pure), and the type of error they are evidence of.
//!
//! What must stay true: the order stays that of the SDKs: the oldest cause first, the innermost frame last.

use serde_json::Value;

use super::lenient::{self, Notes};
use crate::events::context::{MAX_CAUSES, SourceLines};
use crate::events::model::{ErrorType, Exception, Frame};
use crate::events::parse::MAX_MESSAGE_BYTES;

const MAX_FRAMES: usize = 250;
/// Most lines of source on either side, and most bytes of one.
const MAX_LINES: usize = 10;
const MAX_LINE_BYTES: usize = 512;

/// The chain of exceptions, the newest last.
pub(super) fn exceptions(notes: &mut Notes, sent: &Value) -> Vec<Exception> {
    let all = lenient::values(sent);
    if all.is_empty() && !sent.is_null() && sent.get("values").is_none() {
        notes.add("exception");
    }
    let skipped = all.len().saturating_sub(MAX_CAUSES + 1);
    if skipped > 0 {
        notes.add("exception.values");
    }
    all[skipped..].iter().filter_map(|one| exception(notes, one)).collect()
}

fn exception(notes: &mut Notes, sent: &Value) -> Option<Exception> {
    const OF: &str = "exception";
    let exception = Exception {
        kind: notes.member(OF, sent, "type", 256),
        value: notes.member(OF, sent, "value", MAX_MESSAGE_BYTES),
        module: notes.member(OF, sent, "module", 512),
        handled: sent["mechanism"]["handled"].as_bool(),
        frames: frames(notes, &sent["stacktrace"]["frames"]),
    };
    if exception.kind.is_none() && exception.value.is_none() {
        notes.add(OF);
        return None;
    }
    Some(exception)
}

fn frames(notes: &mut Notes, sent: &Value) -> Vec<Frame> {
    let Value::Array(all) = sent else {
        if !sent.is_null() {
            notes.add("exception.stacktrace.frames");
        }
        return Vec::new();
    };
    let skipped = all.len().saturating_sub(MAX_FRAMES);
    if skipped > 0 {
        notes.add("exception.stacktrace.frames");
    }
    all[skipped..].iter().map(|one| frame(notes, one)).collect()
}

fn frame(notes: &mut Notes, sent: &Value) -> Frame {
    const OF: &str = "frame";
    let mut number = |name: &str| {
        let value = sent.get(name).filter(|value| !value.is_null())?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            notes.add(format!("{OF}.{name}"));
        }
        number
    };
    let (line, column) = (number("lineno"), number("colno"));
    let abs_path = notes.member(OF, sent, "abs_path", 2048);
    let file = notes.member(OF, sent, "filename", 1024);
    let file = file.or_else(|| notes.member(OF, sent, "abs_path", 1024));
    Frame {
        module: notes.member(OF, sent, "module", 512),
        function: notes.member(OF, sent, "function", 512),
        abs_path: abs_path.filter(|path| Some(path) != file.as_ref()),
        file,
        line,
        column,
        in_app: sent["in_app"].as_bool(),
        context: source_lines(sent),
    }
}

/// The source around the line; long lines are cut without a note, as the SDKs cut them too.
fn source_lines(sent: &Value) -> Option<SourceLines> {
    let text = |value: &Value| {
        let mut text = value.as_str()?.to_owned();
        lenient::shorten(&mut text, MAX_LINE_BYTES);
        Some(text)
    };
    let line = text(&sent["context_line"])?;
    let all = |name: &str| sent[name].as_array().map_or(&[][..], Vec::as_slice);
    let before = all("pre_context");
    let before = before[before.len().saturating_sub(MAX_LINES)..].iter();
    Some(SourceLines {
        before: before.filter_map(text).collect(),
        line,
        after: all("post_context").iter().take(MAX_LINES).filter_map(text).collect(),
    })
}

/// Libraries whose exceptions come from a database, by the beginning of the module or type.
const OF_DATABASES: [&str; 24] = [
    "activerecord",
    "aiomysql",
    "asyncpg",
    "cassandra",
    "django.db",
    "libsql",
    "mongo",
    "mysql",
    "oracledb",
    "peewee",
    "pg.",
    "pg::",
    "prismaclient",
    "psycopg",
    "pymongo",
    "pymssql",
    "pymysql",
    "pyodbc",
    "redis",
    "rusqlite",
    "sequelize",
    "sqlalchemy",
    "sqlite",
    "sqlx",
];
/// Exceptions of connections to something else.
const OF_SOCKETS: [&str; 12] = [
    "brokenpipeerror",
    "connectionabortederror",
    "connectionerror",
    "connectionrefusederror",
    "connectionreseterror",
    "econnrefused",
    "econnreset",
    "gaierror",
    "httpcore.connect",
    "socket.",
    "urllib3.exceptions.newconnectionerror",
    "websocket",
];

/// The type of error that an exception's own type is evidence of; without any it is the program's own.
pub(super) fn type_of(exception: &Exception) -> ErrorType {
    let name = |text: &Option<String>| text.as_deref().unwrap_or("").to_ascii_lowercase();
    let (module, kind) = (name(&exception.module), name(&exception.kind));
    let is = |known: &[&str]| {
        known
            .iter()
            .any(|start| module.starts_with(start) || kind.starts_with(start))
    };
    if is(&OF_DATABASES) {
        ErrorType::Database
    } else if is(&OF_SOCKETS) {
        ErrorType::Socket
    } else {
        ErrorType::System
    }
}
