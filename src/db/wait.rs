//! Waiting without holding a thread (floor 1): timers, limits in time, and work that blocks.
//!
//! What must stay true: everything asynchronous in this room waits through here and nowhere else, so that a
//! simulation, which runs it all on one thread in a time of its own, sees every wait. Called within this room.

use std::time::{Duration, Instant};

use crate::clock;

/// The time ran out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

/// The work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Comes back after `span`.
pub async fn sleep(span: Duration) {
    #[cfg(test)]
    if super::simulation::is_running() {
        return super::simulation::sleep(span).await;
    }
    tokio::time::sleep(span).await;
}

/// Waits for `work`, but not past `deadline`; what is ready by then counts.
pub async fn until<F: Future>(deadline: Instant, work: F) -> Result<F::Output, Elapsed> {
    #[cfg(test)]
    if super::simulation::is_running() {
        return super::simulation::until(deadline, work).await;
    }
    tokio::time::timeout_at(deadline.into(), work)
        .await
        .map_err(|_| Elapsed)
}

/// Waits for `work`, but no longer than `span`.
pub async fn at_most<F: Future>(span: Duration, work: F) -> Result<F::Output, Elapsed> {
    until(clock::now() + span, work).await
}

/// Runs what blocks on a thread of its own. It runs to its end even when nobody waits for it any more.
pub async fn blocking<T, F>(work: F) -> Result<T, Panicked>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    #[cfg(test)]
    if super::simulation::is_running() {
        return super::simulation::blocking(work).await;
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Panicked)
}
