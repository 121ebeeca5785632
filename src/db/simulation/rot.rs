//! What becomes of the files themselves in a simulation (floor 1, tests only): one is taken away, or rots.
//!
//! What must stay true: what was acknowledged is never missing in silence: a lost commit is told at the start, or the file
//! is refused or isolated; a file that is gone isolates, isn't made anew, and is used again when it is back.

use std::time::Duration;

use super::entries::{PATH, read_all};
use super::faults::End;
use super::run::Run;
use crate::db::{Database, Operation};

const LOG: &str = "/simulated/app.db-wal";
const PAGE: usize = 4096;

impl Run {
    /// The file's name is taken away for a while.
    pub fn vanish(&self, database: &Database) {
        let world = &self.world;
        world.disk.faults.lift();
        // The other process would let go of a file that it can't find.
        world.release_foreign(PATH, true);
        let Some(file) = world.disk.remove(PATH) else { return };
        world.trace.line(|| "the file vanishes".to_owned());
        self.model.tally.borrow_mut().vanished += 1;
        world.advance(Duration::from_millis(8_000 + world.below(60_000)), PATH);
        let states = database.breakers().map(|breaker| breaker.status().state);
        if states != ["ISOLATED"; 2] {
            world.fail(format!("the file is gone, and the breakers are {states:?}"));
        }
        if world.disk.find(PATH).is_some() {
            world.fail("a file was made in the place of the one that is gone");
        }
        world.disk.put_back(PATH, file);
    }

    /// The end of a run: the process is killed, and before the next one opens it the log or a page has rotted, or an
    /// older copy was put back.
    pub fn rot(&mut self) {
        let Some(database) = self.database.clone() else { return };
        let older = [PATH, LOG].map(|name| self.world.disk.copy(name));
        for _ in 0..10 {
            self.write(&database);
            self.world.advance(Duration::from_millis(20), PATH);
        }
        drop(database);
        self.world.end(End::Killed);
        self.model.process_ended(false);
        self.calls.borrow_mut().clear();
        let database = self.database.take();
        self.world.bury();
        drop(database);
        match self.world.below(3) {
            0 => self.damage(LOG, true),
            1 => self.damage(PATH, false),
            _ => {
                self.world.trace.line(|| "an older copy is put back".to_owned());
                for (name, content) in [PATH, LOG].into_iter().zip(older) {
                    self.world.disk.place(name, &content);
                }
            }
        }
        let Some(is_told) = self.open_rotten() else { return };
        let before = self.model.before();
        self.model.tally.borrow_mut().rotten += 1;
        self.model.tally.borrow_mut().told += u64::from(is_told);
        if !is_told && let Some(database) = self.database.clone() {
            self.read_rotten(&database, before);
        }
    }

    /// One bit of the log, or the head of a page, whose bytes SQLite can't take for those of a page.
    fn damage(&self, name: &str, of_log: bool) {
        let Some(file) = self.world.disk.find(name) else { return };
        let content = &mut file.borrow_mut().content;
        if content.is_empty() {
            return;
        }
        let at = self.world.below(content.len() as u64) as usize;
        self.world.trace.line(|| format!("rot at {at} of {name}"));
        if of_log {
            content[at] ^= 1 << self.world.below(8);
        } else {
            let page = at / PAGE * PAGE;
            content[page..page + 16].fill(0xa5);
        }
    }

    /// Opens what has rotted; whether that was told, and `None` where the file was refused.
    fn open_rotten(&mut self) -> Option<bool> {
        match self.try_open() {
            Ok(database) => {
                let is_told = database.status().missing_commits.is_some();
                self.database = Some(database);
                Some(is_told)
            }
            Err(error) => {
                self.world.trace.line(|| format!("refused: {error}"));
                let mut tally = self.model.tally.borrow_mut();
                (tally.rotten, tally.told) = (tally.rotten + 1, tally.told + 1);
                None
            }
        }
    }

    /// Nothing was told: then a read fails and isolates, or everything is there.
    fn read_rotten(&self, database: &Database, before: super::model::Before) {
        let (model, world, handle) = (
            std::rc::Rc::clone(&self.model),
            std::rc::Rc::clone(&self.world),
            database.clone(),
        );
        self.world.spawn(async move {
            match handle.read(Operation::scan("list"), read_all).await {
                Ok(all) => model
                    .saw_all(before, &all, false)
                    .unwrap_or_else(|what| world.fail(format!("silent rot: {what}"))),
                Err(error) => {
                    world.trace.line(|| format!("rot was found: {error}"));
                    model.tally.borrow_mut().told += 1;
                    if !handle.is_isolated() {
                        world.fail(format!("rot was found, and the file isn't isolated: {error}"));
                    }
                }
            }
        });
        self.world.advance(Duration::from_secs(12), PATH);
    }
}
