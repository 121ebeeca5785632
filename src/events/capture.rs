//! The way in for Mainstay's own errors (floor 2): a bounded channel that exists before the databases open.
//!
//! What must stay true: `capture` never blocks, never fails and never panics, whoever calls it from wherever (a panic hook, the
//! writer thread, an async worker); what finds no room is counted. Nothing of the event path itself captures.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::ledger::{Admission, DropReason, Ledger};
use super::model::{ErrorEvent, Severity};
use super::occurrence::NewEvent;
use super::storm::Gcra;
use crate::clock::SharedClock;

/// Most events that wait for the worker.
pub const CAPACITY: usize = 4096;

/// Most events of our own a minute, the critical ones apart: a storm of our own refusals must not fill the log.
const MOST_A_MINUTE: u32 = 60_000;

/// Takes events; clones feed the same channel.
#[derive(Clone)]
pub struct Capture {
    clock: SharedClock,
    ledger: Ledger,
    limit: Arc<Gcra>,
    sender: mpsc::Sender<Captured>,
}

/// The other end, for the worker.
pub struct Captures {
    pub(super) clock: SharedClock,
    pub(super) ledger: Ledger,
    pub(super) receiver: mpsc::Receiver<Captured>,
}

/// One event on its way; should the channel die with it inside, its admission counts it as interrupted.
pub(super) struct Captured {
    pub(super) event: ErrorEvent,
    pub(super) admission: Admission,
}

/// Makes the channel.
pub fn channel(clock: SharedClock) -> (Capture, Captures) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let ledger = Ledger::default();
    (
        Capture {
            clock: clock.clone(),
            ledger: ledger.clone(),
            limit: Arc::new(Gcra::new(MOST_A_MINUTE, clock.now())),
            sender,
        },
        Captures {
            clock,
            ledger,
            receiver,
        },
    )
}

impl Capture {
    /// Records that something happened, in the log and as an event; gives the event's id.
    pub fn capture(&self, event: NewEvent) -> Uuid {
        let mut admission = self.ledger.admit(1);
        let event = event.complete(self.clock.wall());
        let id = event.id;
        log_line(&event);
        if event.severity < Severity::Critical && !self.limit.take(self.clock.now()) {
            admission.dropped(DropReason::RateLimited, 1);
            return id;
        }
        if let Err(mpsc::error::TrySendError::Full(mut refused) | mpsc::error::TrySendError::Closed(mut refused)) =
            self.sender.try_send(Captured { event, admission })
        {
            refused.admission.dropped(DropReason::CaptureFull, 1);
        }
        id
    }
}

/// The text without control characters, so that nobody's message can forge a line of the log.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// The one line that the log has of an error, with the mark of its severity.
fn log_line(event: &ErrorEvent) {
    let (id, message) = (event.id, one_line(&event.message));
    let (path, request_id) = (event.path.as_deref(), event.request_id.as_deref());
    match event.severity {
        Severity::Critical => {
            tracing::error!(severity = "CRITICAL", event = %id, request_id, path, "[CRITICAL] {message}")
        }
        Severity::High => tracing::error!(severity = "HIGH", event = %id, request_id, path, "[HIGH] {message}"),
        Severity::Medium => tracing::warn!(severity = "MEDIUM", event = %id, request_id, path, "[MEDIUM] {message}"),
        Severity::Low => tracing::info!(severity = "LOW", event = %id, request_id, path, "[LOW] {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::events::occurrence::EventContext;

    #[test]
    fn a_message_can_not_forge_a_line_of_the_log() {
        assert_eq!(one_line("naïve – fine"), "naïve – fine");
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn a_full_channel_counts_and_never_blocks() {
        let (capture, captures) = channel(SystemClock::shared());
        for _ in 0..CAPACITY + 3 {
            capture.capture(NewEvent::http_failure(
                500,
                "internal",
                "Internal error",
                EventContext::default(),
            ));
        }
        let ledger = captures.ledger.clone();
        assert_eq!(ledger.snapshot().dropped.of(DropReason::CaptureFull), 3);
        assert_eq!(ledger.snapshot().in_flight, CAPACITY as u64);
        drop(captures);
        assert_eq!(ledger.snapshot().dropped.of(DropReason::Interrupted), CAPACITY as u64);
        capture.capture(NewEvent::http_failure(
            500,
            "internal",
            "Internal error",
            EventContext::default(),
        ));
        assert!(ledger.snapshot().balanced());
    }
}
