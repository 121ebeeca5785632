//! Panics (floor 5): the hook that keeps message and place for whoever catches the panic, and records those nobody
//! does.
//!
//! What must stay true: the hook itself never panics, blocks or fails; a handler's panic becomes one event, with its
//! request, through the skin's fairing; a panic anywhere else becomes one event without a request.

use std::cell::RefCell;

use crate::events::{Capture, EventContext, NewEvent};

/// A panic's message and place.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it said.
    pub message: String,
    /// `file:line:column`.
    pub location: String,
}

thread_local! {
    static LAST: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// The latest panic of this thread, once. Rocket calls the 500 catcher on the thread that caught the panic.
pub fn take_last() -> Option<Seen> {
    LAST.with_borrow_mut(Option::take)
}

/// Installs the hook. On Rocket's workers the 500 catcher records the panic with its request, and on a writer the
/// database layer hands it to the caller as an error; anywhere else nobody would, so it is captured here.
pub fn install(capture: Capture) {
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let message = text
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        let location = info
            .location()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        tracing::error!(thread = name, location, "panicked: {message}");
        if name.ends_with("-writer") {
            return;
        }
        if name.starts_with("rocket-worker") {
            let seen = Seen { message, location };
            let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(seen)));
        } else {
            capture.capture(NewEvent::panic(&message, &location, EventContext::default()));
        }
    }));
}
