//! The task that brings captured events to the disk (floor 2).
//!
//! What must stay true: it takes what waits, up to a batch, and never waits for more; a flush is answered after everything that was
//! captured before it has its outcome.

use tokio::sync::{mpsc, oneshot};

use super::capture::Captured;
use super::pipeline::{BATCH, Pipeline};

/// A request to be told when the channel was emptied.
pub(super) type Flush = oneshot::Sender<()>;

/// Runs until every [`super::Capture`] is gone.
pub(super) async fn run(
    pipeline: &Pipeline,
    captures: &mut mpsc::Receiver<Captured>,
    flushes: &mut mpsc::Receiver<Flush>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            taken = captures.recv_many(&mut batch, BATCH) => {
                if taken == 0 {
                    return;
                }
                deliver(pipeline, &mut batch, false).await;
            }
            Some(flush) = flushes.recv() => {
                // What is captured from now on is not waited for, or a busy program would never be flushed.
                let mut was_slow = false;
                for _ in 0..=captures.len() / BATCH {
                    while batch.len() < BATCH && let Ok(captured) = captures.try_recv() {
                        batch.push(captured);
                    }
                    was_slow = deliver(pipeline, &mut batch, was_slow).await;
                }
                let _ = flush.send(());
            }
        }
    }
}

/// Whether events.db was slow at the log's end.
async fn deliver(pipeline: &Pipeline, batch: &mut Vec<Captured>, at_once: bool) -> bool {
    let mut captured = batch.drain(..);
    let Some(Captured { event, mut admission }) = captured.next() else {
        return at_once;
    };
    let mut events = vec![event];
    for one in captured {
        events.push(one.event);
        admission.join(one.admission);
    }
    pipeline.deliver_captured(events, admission, at_once).await
}
