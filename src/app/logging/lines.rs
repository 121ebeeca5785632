//! What is logged, as lines (floor 7): for people `time LEVEL message member=value …`, for machines an object with
//! `timestamp`, `level`, `message`, the members, `target`.
//!
//! Both are made in one pass, in memory that each thread keeps, because every request leaves a line.
//! What must stay true: an event is one line of each output, whatever its values hold; the line for machines is JSON.
//! Spans are not shown: nothing here makes any. Attached by `logging`.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::Queue;

/// Memory that a thread keeps for its next line.
const KEPT_BYTES: usize = 4 << 10;
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The layer.
pub(super) struct Lines {
    console: Option<Arc<Queue>>,
    file: Option<Arc<Queue>>,
    colours: bool,
}

impl Lines {
    /// Sends each event to the outputs that there are.
    pub(super) fn to(console: Option<Arc<Queue>>, file: Option<Arc<Queue>>, colours: bool) -> Self {
        Self { console, file, colours }
    }

    fn send(&self, event: &Event<'_>, words: &mut Words) {
        words.begin(event, Timestamp::now(), self.colours);
        event.record(words);
        words.end(event);
        let urgent = *event.metadata().level() <= Level::WARN;
        if let Some(console) = &self.console {
            console.add(words.people.as_bytes(), urgent);
        }
        if let Some(file) = &self.file {
            file.add(&words.machines, urgent);
        }
        words.shrink();
    }
}

thread_local! {
    static WORDS: RefCell<Words> = RefCell::default();
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let in_turn = WORDS.try_with(|words| match words.try_borrow_mut() {
            Ok(mut words) => self.send(event, &mut words),
            // A value that logs while it is shown.
            Err(_) => self.send(event, &mut Words::default()),
        });
        // The thread is ending.
        in_turn.unwrap_or_else(|_| self.send(event, &mut Words::default()));
    }
}

/// One event on its way into words.
#[derive(Default)]
struct Words {
    people: String,
    machines: Vec<u8>,
    /// One value.
    value: String,
    /// The target of one that came through the `log` crate, which has it as a member.
    target: Option<String>,
    /// The last second, and its text.
    second: i64,
    second_text: String,
}

fn coloured(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31mERROR\x1b[0m",
        Level::WARN => "\x1b[33m WARN\x1b[0m",
        Level::INFO => "\x1b[32m INFO\x1b[0m",
        Level::DEBUG => "\x1b[34mDEBUG\x1b[0m",
        Level::TRACE => "\x1b[35mTRACE\x1b[0m",
    }
}

fn aligned(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => " WARN",
        Level::INFO => " INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// A text as JSON.
fn json(out: &mut Vec<u8>, text: &str) {
    // Text always serialises, and memory takes it.
    let _ = serde_json::to_writer(out, text);
}

impl Words {
    fn begin(&mut self, event: &Event<'_>, at: Timestamp, colours: bool) {
        let level = *event.metadata().level();
        if self.second != at.as_second() || self.second_text.is_empty() {
            self.second = at.as_second();
            self.second_text.clear();
            let _ = write!(self.second_text, "{at:.0}");
            self.second_text.pop();
        }
        self.people.clear();
        self.machines.clear();
        self.target = None;
        if colours {
            self.people.push_str(DIM);
        }
        self.people.push_str(&self.second_text);
        self.people.push('.');
        // By hand, as the names below: each request pays for it.
        let micros = at.subsec_microsecond().unsigned_abs();
        for place in [100_000, 10_000, 1_000, 100, 10, 1] {
            self.people.push(char::from(b'0' + (micros / place % 10) as u8));
        }
        self.people.push('Z');
        let time = if colours { DIM.len() } else { 0 }..self.people.len();
        self.machines.extend_from_slice(br#"{"timestamp":""#);
        self.machines.extend_from_slice(&self.people.as_bytes()[time]);
        self.machines.extend_from_slice(br#"","level":""#);
        self.machines.extend_from_slice(level.as_str().as_bytes());
        self.machines.push(b'"');
        self.people.push_str(if colours { PLAIN } else { "" });
        self.people.push(' ');
        self.people
            .push_str(if colours { coloured(level) } else { aligned(level) });
    }

    fn end(&mut self, event: &Event<'_>) {
        self.people.push('\n');
        self.machines.extend_from_slice(br#","target":"#);
        json(
            &mut self.machines,
            self.target.as_deref().unwrap_or(event.metadata().target()),
        );
        self.machines.extend_from_slice(b"}\n");
    }

    /// A rare large line's memory is not kept.
    fn shrink(&mut self) {
        self.people.shrink_to(KEPT_BYTES);
        self.machines.shrink_to(KEPT_BYTES);
        self.value.shrink_to(KEPT_BYTES);
    }

    /// The name of a member for both, or nothing where it isn't shown.
    fn name(&mut self, field: &Field) -> bool {
        let name = field.name();
        if name.starts_with("log.") {
            return false;
        }
        self.machines.push(b',');
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.machines.push(b'"');
            self.machines.extend_from_slice(name.as_bytes());
            self.machines.push(b'"');
        } else {
            json(&mut self.machines, name);
        }
        self.machines.push(b':');
        self.people.push(' ');
        if name != "message" {
            self.people.push_str(name);
            self.people.push('=');
        }
        true
    }

    /// A value that JSON writes as people do.
    fn plain(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        if self.name(field) {
            self.value.clear();
            let _ = self.value.write_fmt(value);
            self.people.push_str(&self.value);
            self.machines.extend_from_slice(self.value.as_bytes());
        }
    }

    /// The text in `value`: nothing in it may break the line or move a terminal's cursor.
    fn text_for_people(&mut self) {
        let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if self.value.bytes().all(is_plain) || !self.value.chars().any(char::is_control) {
            return self.people.push_str(&self.value);
        }
        for one in self.value.chars() {
            if one.is_control() {
                self.people.extend(one.escape_default());
            } else {
                self.people.push(one);
            }
        }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.name(field) {
            self.value.clear();
            let _ = write!(self.value, "{value:?}");
            self.text_for_people();
            json(&mut self.machines, &self.value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        if self.name(field) {
            json(&mut self.machines, value);
            self.value.clear();
            // In quotes, so that it is seen where the value ends.
            let _ = if field.name() == "message" {
                self.value.write_str(value)
            } else {
                write!(self.value, "{value:?}")
            };
            self.text_for_people();
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, format_args!("{value:?}"));
        } else {
            self.record_debug(field, &value);
        }
    }
}

#[cfg(test)]
mod tests;
