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
                deliver(pipeline, &mut batch).await;
            }
            Some(flush) = flushes.recv() => {
                // What is captured from now on is not waited for, or a busy program would never be flushed.
                for _ in 0..=captures.len() / BATCH {
                    while batch.len() < BATCH && let Ok(captured) = captures.try_recv() {
                        batch.push(captured);
                    }
                    deliver(pipeline, &mut batch).await;
                }
                let _ = flush.send(());
            }
        }
    }
}

async fn deliver(pipeline: &Pipeline, batch: &mut Vec<Captured>) {
    let mut captured = batch.drain(..);
    let Some(Captured { event, mut admission }) = captured.next() else {
        return;
    };
    let mut events = vec![event];
    for one in captured {
        events.push(one.event);
        admission.join(one.admission);
    }
    pipeline.deliver(events, admission).await;
}
