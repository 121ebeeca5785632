//! The task that brings spooled events into events.db once it takes writes again (floor 2).
//!
//! What must stay true: a segment is let go only after all of its events were committed, so a crash in between replays it again, which
//! changes nothing; one event that can never be stored doesn't hold up the rest, and its segment is kept aside.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::pipeline::{BATCH, Pipeline, complain};
use super::spool::{Chunk, Mark};
use super::store::Prepared;
use crate::db::{DbError, ErrorKind};

/// Between looks at the breaker, and before the first try.
const TICK: Duration = Duration::from_millis(500);
/// Between looks at whether events.db's log was begun anew.
const LOG_LOOK: Duration = Duration::from_secs(5);
/// Most time between tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where the replay is.
#[derive(Default)]
struct Place {
    mark: Option<Mark>,
    /// The segment holds an event that could not be stored.
    keep_aside: bool,
}

/// Runs until `stopping` becomes true.
pub(super) async fn run(pipeline: &Pipeline, mut stopping: watch::Receiver<bool>) {
    let mut place = Place::default();
    let mut wait = TICK;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = next_try(pipeline, wait) => {}
        }
        if pipeline.spool.keeps_replayed()
            && let Some(now) = pipeline.sink.log_generation().await
        {
            pipeline.spool.let_go(now).await;
        }
        if pipeline.spool.is_empty() {
            continue;
        }
        if !pipeline.sink.admits() {
            wait = TICK;
            continue;
        }
        wait = match drain(pipeline, &mut place, &stopping).await {
            Ok(()) => TICK,
            Err(_) => (wait * 2).min(LONGEST_WAIT),
        };
    }
}

/// Sleeps while the spool is empty, save for looks at the log that replayed segments wait for; then until the time is up or
/// a write went well.
async fn next_try(pipeline: &Pipeline, wait: Duration) {
    if pipeline.spool.is_empty() {
        let log_is_awaited = pipeline.spool.keeps_replayed();
        tokio::select! {
            () = pipeline.filled.notified() => {}
            () = tokio::time::sleep(LOG_LOOK), if log_is_awaited => return,
        }
    }
    tokio::select! {
        () = pipeline.recovered.notified() => {}
        () = tokio::time::sleep(wait) => {}
    }
}

/// Replays until the spool is empty, a write fails, or it is time to stop.
async fn drain(pipeline: &Pipeline, place: &mut Place, stopping: &watch::Receiver<bool>) -> Result<(), DbError> {
    while !*stopping.borrow() {
        if place.mark.is_none() {
            // Reading closes the segment that is written to, and on a full disk there may be no other: so only once
            // events.db is seen to take a write.
            pipeline.sink.write(Arc::default()).await?;
        }
        let Some(chunk) = pipeline.spool.read(place.mark, BATCH).await else {
            return Ok(());
        };
        store(pipeline, place, chunk).await?;
    }
    Ok(())
}

async fn store(pipeline: &Pipeline, place: &mut Place, chunk: Chunk) -> Result<(), DbError> {
    let mut lost = chunk.lost;
    if !chunk.events.is_empty() {
        let batch = pipeline.prepare(chunk.events);
        let unstorable = match replay(pipeline, &batch).await {
            Ok(()) => 0,
            Err(error) if is_the_datas_fault(&error) => one_by_one(pipeline, &batch).await?,
            Err(error) => return Err(error),
        };
        place.keep_aside |= unstorable > 0;
        lost += unstorable;
    }
    if lost > 0 {
        pipeline.ledger.lost_from_spool(lost);
        let fate = if chunk.gone { "is gone" } else { "is kept aside" };
        complain(&format!(
            "{lost} events of the spool could not be stored; their segment {fate}"
        ));
    }
    place.mark = Some(chunk.next);
    if chunk.end {
        if place.keep_aside {
            pipeline.spool.remove(chunk.next.segment, true).await;
        } else {
            // Asked after the last commit: that is in this log, or in none any more.
            let in_log = pipeline.sink.log_generation().await;
            pipeline.spool.retire(chunk.next.segment, in_log).await;
        }
        *place = Place::default();
    }
    Ok(())
}

/// Writes one batch and moves it in the account.
async fn replay(pipeline: &Pipeline, batch: &Arc<Vec<Prepared>>) -> Result<(), DbError> {
    match pipeline.sink.write(batch.clone()).await {
        Ok(inserted) => {
            pipeline.settle_replayed(batch, &inserted);
            Ok(())
        }
        Err(error) => {
            pipeline.note_uncertain(batch, &error);
            Err(error)
        }
    }
}

/// How many events of the batch can't be stored, whatever the state of events.db.
async fn one_by_one(pipeline: &Pipeline, batch: &[Prepared]) -> Result<u64, DbError> {
    let mut unstorable = 0;
    for prepared in batch {
        match replay(pipeline, &Arc::new(vec![prepared.clone()])).await {
            Ok(()) => {}
            Err(error) if is_the_datas_fault(&error) => unstorable += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(unstorable)
}

/// TOOBIG, CONSTRAINT, MISMATCH, or a bug that the data wakes: trying again later would be no better.
fn is_the_datas_fault(error: &DbError) -> bool {
    match error.kind {
        ErrorKind::Sqlite { code } => matches!(code & 0xff, 18..=20),
        ErrorKind::Panicked => true,
        _ => false,
    }
}
