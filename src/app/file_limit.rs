//! The file-size limit (floor 7): a write past RLIMIT_FSIZE fails like one on a full disk instead of ending the process.
//!
//! What must stay true: SIGXFSZ has a handler before the databases open. Called by the composition root.

use rocket::tokio::signal::unix::{SignalKind, signal};

/// Makes a write past the limit an error (EFBIG) that the writer gets. Needs a tokio runtime.
pub(super) fn survive() {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // The handler outlives the listener, for as long as the process lives.
    if let Err(error) = signal(exceeded) {
        tracing::warn!(%error, "SIGXFSZ can't be handled: a file-size limit would end the process");
    }
}
