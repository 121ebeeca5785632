//! Writes under a key in a simulation (floor 1, tests only).
//!
//! What must stay true: however often a key is sent, and whatever became of the times before, there is one effect; only
//! who may have had an effect before is told that it was done before.

use std::rc::Rc;
use std::time::Duration;

use super::entries::{Kind, work};
use super::run::Run;
use crate::db::{Answered, COMMIT_GRACE, Database, DbError, Effect, ErrorKind, Once, Operation};

const SIGN: Operation = Operation::write("sign");
const SENDS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(700);

async fn send(database: &Database, timeout: Duration, job: i64) -> Result<Answered<i64>, DbError> {
    let once = Once::of(job.to_string(), &job.to_le_bytes());
    let sent = database.write_once(SIGN.within(timeout), once, move |c| {
        work(c, job, Kind::Plain)?;
        Ok(Effect::Commit(job))
    });
    sent.await
}

impl Run {
    /// A caller who sends the same key until it has its answer, and once more after that.
    pub fn write_once(&self, database: &Database) {
        let job = self.model.begin();
        let timeout = Duration::from_millis([10_000, 2_000, 200][self.world.below(3) as usize]);
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let caller = async move {
            let (mut unknown, mut refused) = (false, ErrorKind::NotBegun);
            for send_number in 0..=SENDS {
                let answer = send(&database, timeout, job).await;
                if world.ended().is_some() {
                    return;
                }
                world
                    .trace
                    .line(|| format!("key {job}, time {send_number}: {answer:?}"));
                let is_last = send_number == SENDS;
                match answer {
                    Ok(Answered::First(own) | Answered::Again(own)) if own != job => {
                        return world.fail(format!("key {job} got the answer of {own}"));
                    }
                    Ok(Answered::Mismatch) => return world.fail(format!("key {job} is another request")),
                    Ok(Answered::Again(_)) if !unknown => {
                        return world.fail(format!("key {job} was done before, and nothing had been done"));
                    }
                    Ok(_) => break,
                    Err(error) if error.nothing_done() => refused = error.kind,
                    Err(_) => unknown = true,
                }
                if is_last {
                    let told = if unknown {
                        model.unknown(job)
                    } else {
                        model.refused(job, &refused)
                    };
                    return told.unwrap_or_else(|what| world.fail(what));
                }
                model.tally.borrow_mut().repeats += 1;
                super::sleep(PAUSE).await;
            }
            model.acked(job).unwrap_or_else(|what| world.fail(what));
            let again = send(&database, timeout, job).await;
            if world.ended().is_none() && again.is_ok_and(|again| again != Answered::Again(job)) {
                world.fail(format!("key {job} was acknowledged and is done again"));
            }
        };
        let limit = (timeout + COMMIT_GRACE + PAUSE) * (SENDS + 2);
        self.call(format!("write {job}"), Some(job), limit, caller);
    }
}
