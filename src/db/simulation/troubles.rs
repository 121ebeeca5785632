//! What goes wrong around a simulated database (floor 1, tests only): its disk, other processes, operators.
//!
//! What must stay true: what goes wrong is chosen by the world's generator alone, and told in the trace.

use std::time::Duration;

use rusqlite::ffi;

use super::entries::PATH;
use super::faults::{Call, Fault};
use super::run::Run;
use crate::db::Database;

impl Run {
    pub fn break_something(&self) {
        let world = &self.world;
        let call = Call::ALL[world.below(Call::ALL.len() as u64) as usize];
        let slow = world.once_in(3);
        let code = match world.below(12) {
            0 => ffi::SQLITE_NOMEM,
            1 if call == Call::Write => ffi::SQLITE_FULL,
            2 if call == Call::Read => ffi::SQLITE_IOERR_SHORT_READ,
            _ => call.code(),
        };
        let fault = Fault {
            call,
            after: world.below([3, 30, 300][world.below(3) as usize]) as u32,
            code: (!slow).then_some(code),
            takes: Duration::from_millis(if slow { world.below(200) } else { 0 }),
            lasting: world.once_in(3),
        };
        world.trace.line(|| format!("{fault:?}"));
        world.disk.faults.plan(fault);
    }

    pub fn by_hand(&self, database: &Database) {
        let breaker = database.breakers()[self.world.below(2) as usize];
        let lasting = Some(Duration::from_secs(1 + self.world.below(60)));
        match self.world.below(3) {
            0 => breaker.force_open(lasting, "by hand", None),
            1 => breaker.disable(lasting, "by hand", None),
            // A closed breaker's reset is no change of its state, and yet its counts begin anew.
            _ if breaker.reset("by hand", None) => self.world.reckoning.begin_anew(breaker.name()),
            _ => {}
        }
    }

    pub fn lock_from_outside(&self) {
        // The write lock alone, with the checkpointer's, or the recovery lock: what other programs do.
        let mask = [1, 3, 2][self.world.below(3) as usize];
        let span = Duration::from_millis(self.world.below([50, 3_000, 60_000][self.world.below(3) as usize]));
        let held = self.world.hold_foreign(PATH, mask, span);
        self.world
            .trace
            .line(|| format!("another process locks {mask:#b} for {span:?}: {held}"));
    }
}
