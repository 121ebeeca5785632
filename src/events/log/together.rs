//! One ingest of many events (floor 2): its batches on their way together, in the order of its events.
//!
//! What must stay true: which group an event becomes part of depends on what was stored before it, so the batches of one
//! ingest join the writer's queue in their order, however long each took to prepare; what goes to the spool meanwhile is
//! stored when that is replayed. Dropping it half way leaves the ledger balanced. Called by the log's handle.

use std::sync::Arc;

use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::task::JoinError;

use crate::events::ledger::Admission;
use crate::events::model::ErrorEvent;
use crate::events::pipeline::{BATCH, IngestOutcome, Pipeline};
use crate::events::store::Prepared;

/// Batches on their way together: some are written while the next ones are prepared.
const TOGETHER: usize = 8;

/// A batch as the writer wants it, counted as under way.
struct Ready {
    batch: Arc<Vec<Prepared>>,
    admission: Admission,
}

/// Brings events to the disk; the outcomes are in their order.
pub(super) async fn ingest(pipeline: &Arc<Pipeline>, events: Vec<ErrorEvent>) -> Vec<IngestOutcome> {
    let mut outcomes = Vec::with_capacity(events.len());
    let mut events = events.into_iter();
    let (mut preparing, mut written) = (FuturesOrdered::new(), FuturesOrdered::new());
    loop {
        while preparing.len() + written.len() < TOGETHER && events.len() > 0 {
            preparing.push_back(prepare(pipeline, events.by_ref().take(BATCH).collect()));
        }
        tokio::select! {
            biased;
            Some(ready) = preparing.next() => {
                let Some(mut ready) = unless_panicked(ready) else { continue };
                if let Some(answer) = pipeline.sink.queue(Arc::clone(&ready.batch)) {
                    written.push_back(async move {
                        let answer = answer.await;
                        pipeline.settle(&ready.batch, answer, &mut ready.admission).await
                    });
                    continue;
                }
                // So much waits that this one can't join the queue: it goes alone, after those that could.
                while let Some(done) = written.next().await {
                    outcomes.extend(done);
                }
                let answer = pipeline.sink.write(Arc::clone(&ready.batch)).await;
                outcomes.extend(pipeline.settle(&ready.batch, answer, &mut ready.admission).await);
            }
            Some(done) = written.next() => outcomes.extend(done),
            else => return outcomes,
        }
    }
}

/// Counts a batch as under way and has it prepared beside the others.
fn prepare(
    pipeline: &Arc<Pipeline>,
    events: Vec<ErrorEvent>,
) -> impl Future<Output = Result<Ready, JoinError>> + use<> {
    let admission = pipeline.ledger.admit(events.len() as u64);
    let worker = Arc::clone(pipeline);
    let prepared = tokio::spawn(async move { worker.prepare(events) });
    async move {
        let batch = prepared.await?;
        Ok(Ready { batch, admission })
    }
}

/// A panic is a bug: it goes on to the caller, whose request fails; the ledger has counted it.
fn unless_panicked(ready: Result<Ready, JoinError>) -> Option<Ready> {
    match ready {
        Ok(ready) => Some(ready),
        Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        Err(_) => None,
    }
}
