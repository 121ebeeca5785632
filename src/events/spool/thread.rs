//! The spool's thread (floor 2): takes commands in order, syncs once for all appends that wait.
//!
//! What must stay true: an append is answered after its sync, never before; the published status already holds what an answer says.

use tokio::sync::{mpsc, oneshot};

use super::reader::{Chunk, Mark};
use super::shelf::Shelf;
use super::{Records, Shared, SpoolError};
use crate::db::LogGeneration;

/// What the thread can be asked.
pub(super) enum Command {
    Append {
        records: Records,
        answer: oneshot::Sender<Result<(), SpoolError>>,
    },
    Read {
        from: Option<Mark>,
        limit: usize,
        answer: oneshot::Sender<Option<Chunk>>,
    },
    Remove {
        segment: u64,
        keep_aside: bool,
        answer: oneshot::Sender<()>,
    },
    Retire {
        segment: u64,
        in_log: Option<LogGeneration>,
        answer: oneshot::Sender<()>,
    },
    LetGo {
        now: LogGeneration,
        answer: oneshot::Sender<()>,
    },
    Barrier {
        answer: oneshot::Sender<()>,
    },
}

/// Callers whose bytes are written and not yet synced.
#[derive(Default)]
struct Waiting(Vec<oneshot::Sender<Result<(), SpoolError>>>);

impl Waiting {
    fn settle(&mut self, shelf: &mut Shelf, shared: &Shared) {
        if self.0.is_empty() {
            return;
        }
        let outcome = shelf.sync();
        shared.publish(shelf.status());
        for answer in self.0.drain(..) {
            // A caller that left doesn't matter: its events are safe.
            let _ = answer.send(outcome);
        }
    }
}

/// Runs until every handle is gone.
pub(super) fn run(mut shelf: Shelf, mut commands: mpsc::Receiver<Command>, shared: &Shared) {
    let mut waiting = Waiting::default();
    while let Some(command) = commands.blocking_recv() {
        obey(command, &mut shelf, &mut waiting, shared);
        while let Ok(command) = commands.try_recv() {
            obey(command, &mut shelf, &mut waiting, shared);
        }
        waiting.settle(&mut shelf, shared);
    }
}

fn obey(command: Command, shelf: &mut Shelf, waiting: &mut Waiting, shared: &Shared) {
    if let Command::Append { records, answer } = command {
        append(&records, answer, shelf, waiting, shared);
        return;
    }
    // The others see, and may close, the active segment: what waits is settled first.
    waiting.settle(shelf, shared);
    match command {
        Command::Append { .. } => {}
        Command::Read { from, limit, answer } => {
            let chunk = shelf.read(from, limit);
            shared.publish(shelf.status());
            let _ = answer.send(chunk);
        }
        Command::Remove {
            segment,
            keep_aside,
            answer,
        } => {
            shelf.forget(segment, keep_aside);
            shared.publish(shelf.status());
            let _ = answer.send(());
        }
        Command::Retire {
            segment,
            in_log,
            answer,
        } => {
            shelf.retire(segment, in_log);
            shared.publish(shelf.status());
            let _ = answer.send(());
        }
        Command::LetGo { now, answer } => {
            shelf.replayed.let_go(now);
            shared.publish(shelf.status());
            let _ = answer.send(());
        }
        Command::Barrier { answer } => {
            let _ = answer.send(());
        }
    }
}

fn append(
    records: &Records,
    answer: oneshot::Sender<Result<(), SpoolError>>,
    shelf: &mut Shelf,
    waiting: &mut Waiting,
    shared: &Shared,
) {
    if shelf.is_due() {
        waiting.settle(shelf, shared);
        shelf.close_active();
    }
    let mut written = shelf.write(records);
    if written == Err(SpoolError::DiskFull) && shelf.replayed.give_way(u64::MAX) {
        written = shelf.write(records);
    }
    if written == Err(SpoolError::DiskFull) {
        // What was written before has its own place, and its callers their answer, before the spare one is begun.
        waiting.settle(shelf, shared);
        if shelf.begin_spare() {
            written = shelf.write(records);
        }
    }
    match written {
        Ok(()) => waiting.0.push(answer),
        Err(error) => {
            shared.publish(shelf.status());
            let _ = answer.send(Err(error));
        }
    }
}
