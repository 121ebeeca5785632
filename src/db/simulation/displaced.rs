//! Another file in the place of the database while it runs (floor 1, tests only): renamed over it, as a restored copy or
//! another program's file is.
//!
//! What must stay true: that is seen within [`NOTICED_WITHIN`], and isolates; the other file is not written to, and
//! nobody is told what it says; what was acknowledged went into the right file and is there when it is put back, which
//! ends the isolation by itself.

use std::time::Duration;

use super::entries::PATH;
use super::run::Run;
use crate::db::Database;

/// The watch looks four times a second; a look that had begun, and a probe on its way, end first.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);
/// An attempt that had begun commits into the right file, and its callers are told so.
const UNDER_WAY: Duration = Duration::from_secs(13);
const BACK_WITHIN: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(10);

impl Run {
    /// Another file takes the name for a while.
    pub fn displace(&self, database: &Database) {
        let world = &self.world;
        let older = world.disk.copy(PATH);
        world.disk.faults.lift();
        world.release_foreign(PATH, true);
        // What hung until now comes to its end.
        world.advance(Duration::from_secs(30), PATH);
        let Some(right) = world.disk.find(PATH) else { return };
        let (what, content) = match world.below(3) {
            0 => ("an older copy", older),
            1 => ("an empty file", Vec::new()),
            _ => ("another program's file", vec![0x42; 20_000]),
        };
        world.trace.line(|| format!("{what} takes the place of the file"));
        self.model.tally.borrow_mut().displaced += 1;
        let wrong = world.disk.place(PATH, &content);
        self.until_isolated(database, what);
        self.meanwhile(database, UNDER_WAY);
        let acked = self.model.tally.borrow().acked;
        self.meanwhile(database, Duration::from_millis(1 + world.below(40_000)));
        if self.model.tally.borrow().acked != acked {
            world.fail(format!("{what} is in its place, and writes are acknowledged"));
        }
        let is_untouched = wrong.borrow().content == content;
        let is_there = world
            .disk
            .find(PATH)
            .is_some_and(|found| std::rc::Rc::ptr_eq(&found, &wrong));
        if !is_untouched || !is_there {
            world.fail(format!("{what} was written to, or replaced in its turn"));
        }
        world.trace.line(|| "the right file is put back".to_owned());
        world.disk.put_back(PATH, right);
        self.until_back(database);
    }

    fn is_isolated(database: &Database) -> bool {
        database
            .breakers()
            .iter()
            .all(|breaker| breaker.status().state == "ISOLATED")
    }

    fn until_isolated(&self, database: &Database, what: &str) {
        let since = self.world.clock.elapsed();
        while !Self::is_isolated(database) && self.world.failure().is_none() {
            self.meanwhile(database, MOMENT);
            // A step may take longer: somebody's backoff ends within it.
            if self.world.clock.elapsed() - since > NOTICED_WITHIN && !Self::is_isolated(database) {
                let states = database.breakers().map(|breaker| breaker.status().state);
                return self.world.fail(format!(
                    "{what} took the place of the file, and the breakers are {states:?}"
                ));
            }
        }
    }

    fn until_back(&self, database: &Database) {
        let since = self.world.clock.elapsed();
        while database.is_isolated() && self.world.failure().is_none() {
            self.world.advance(MOMENT, PATH);
            if self.world.clock.elapsed() - since > BACK_WITHIN {
                return self.world.fail("the right file is back, and it stays isolated");
            }
        }
    }

    /// Callers come while time passes.
    fn meanwhile(&self, database: &Database, span: Duration) {
        match self.world.below(3) {
            0 => self.write(database),
            1 => self.read_one(database),
            _ => self.read_all(database),
        }
        self.world.advance(span, PATH);
    }
}
