//! Limits of this process (floor 7): a write past RLIMIT_FSIZE fails like one on a full disk instead of ending the process,
//! and as many files and connections may be open as the system allows at all.
//!
//! What must stay true: SIGXFSZ has a handler before the databases open. Called by the composition root.

use rocket::tokio::signal::unix::{SignalKind, signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Makes a write past the limit an error (EFBIG) that the writer gets. Needs a tokio runtime.
pub(super) fn survive() {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // The handler outlives the listener, for as long as the process lives.
    if let Err(error) = signal(exceeded) {
        tracing::warn!(%error, "SIGXFSZ can't be handled: a file-size limit would end the process");
    }
}

/// Raises the soft limit of open files and connections (RLIMIT_NOFILE) to the hard one.
pub(super) fn open_many() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let (before, now) = (limit.current, limit.maximum);
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(before, now, "the limit of open files and connections was raised"),
        Err(error) => tracing::warn!(%error, before, "the limit of open files and connections can't be raised"),
    }
}
