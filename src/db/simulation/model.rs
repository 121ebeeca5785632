//! The plain model of a simulation (floor 1, tests only): what each job's caller was told, and so what may be read.
//!
//! What must stay true: an acknowledged job is present exactly once and whole, for ever; one that was answered with
//! "nothing was done" is never seen by anybody; one whose outcome is unknown is there wholly or not at all, and stays
//! what it was seen to be. The one exception: an unknown one that was seen may go with the power as long as no later
//! commit was acknowledged, because what made it visible after a kill was the system's cache.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::tally::{Counts, Tally, reason};
use crate::db::ErrorKind;

/// What is known of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its caller waits.
    Pending,
    /// Acknowledged, as this many before it.
    Acked(u64),
    /// Certainly nothing was done.
    Absent,
    /// Unknown, since this many were acknowledged.
    Maybe(u64),
}

struct Known {
    fate: Fate,
    seen: bool,
}

/// What a read of everything gave.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Jobs below were trimmed.
    pub floor: i64,
    /// (job, side), ordered.
    pub rows: Vec<(i64, i64)>,
}

/// What was known when a read began.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    acks: u64,
    floor: i64,
}

/// The model.
#[derive(Default)]
pub struct Model {
    jobs: RefCell<BTreeMap<i64, Known>>,
    acks: Cell<u64>,
    floor_acked: Cell<i64>,
    floor_tried: Cell<i64>,
    pub tally: RefCell<Tally>,
    /// Refused writes by reason.
    pub refusals: RefCell<Counts>,
}

impl Model {
    /// A new job's number.
    pub fn begin(&self) -> i64 {
        let mut jobs = self.jobs.borrow_mut();
        let number = jobs.last_key_value().map_or(self.floor_tried.get(), |last| *last.0) + 1;
        jobs.insert(
            number,
            Known {
                fate: Fate::Pending,
                seen: false,
            },
        );
        number
    }

    fn settle(&self, job: i64, fate: Fate) -> Result<(), String> {
        let mut jobs = self.jobs.borrow_mut();
        let Some(known) = jobs.get_mut(&job) else { return Ok(()) };
        if known.fate != Fate::Pending {
            return Err(format!("job {job} was answered twice: {:?}, then {fate:?}", known.fate));
        }
        known.fate = fate;
        if fate == Fate::Absent && known.seen {
            return Err(format!(
                "job {job} was seen, and then answered with \"nothing was done\""
            ));
        }
        Ok(())
    }

    pub fn acked(&self, job: i64) -> Result<(), String> {
        self.tally.borrow_mut().acked += 1;
        self.acks.set(self.acks.get() + 1);
        self.settle(job, Fate::Acked(self.acks.get()))
    }

    /// Refused with an error that says that nothing was done.
    pub fn refused(&self, job: i64, kind: &ErrorKind) -> Result<(), String> {
        self.refusals.borrow_mut().count(reason(kind));
        self.settle(job, Fate::Absent)
    }

    /// It undid itself.
    pub fn rolled_back(&self, job: i64) -> Result<(), String> {
        self.refusals.borrow_mut().count("its own rollback");
        self.settle(job, Fate::Absent)
    }

    pub fn unknown(&self, job: i64) -> Result<(), String> {
        self.tally.borrow_mut().unknown += 1;
        self.settle(job, Fate::Maybe(self.acks.get()))
    }

    /// Its caller left.
    pub fn left(&self, job: i64) {
        self.tally.borrow_mut().left += 1;
        if let Some(known) = self.jobs.borrow_mut().get_mut(&job) {
            known.fate = Fate::Maybe(self.acks.get());
        }
    }

    /// The process ended: nobody hears any more of what was on its way.
    pub fn process_ended(&self, power_lost: bool) {
        let acks = self.acks.get();
        for known in self.jobs.borrow_mut().values_mut() {
            if known.fate == Fate::Pending {
                known.fate = Fate::Maybe(acks);
            }
            if power_lost && matches!(known.fate, Fate::Maybe(since) if since == acks) {
                known.seen = false;
            }
        }
    }

    pub fn before(&self) -> Before {
        Before {
            acks: self.acks.get(),
            floor: self.floor_acked.get(),
        }
    }

    /// A number that may be asked for.
    pub fn some_job(&self, random: u64) -> Option<i64> {
        let jobs = self.jobs.borrow();
        jobs.keys().nth(random as usize % jobs.len().max(1)).copied()
    }

    /// What a look at one job may give: `count` rows.
    pub fn saw_one(&self, before: Before, job: i64, count: i64) -> Result<(), String> {
        if job < self.floor_tried.get() {
            return Ok(());
        }
        self.saw(before, job, count as usize)
    }

    fn saw(&self, before: Before, job: i64, count: usize) -> Result<(), String> {
        self.tally.borrow_mut().seen += 1;
        let mut jobs = self.jobs.borrow_mut();
        let Some(known) = jobs.get_mut(&job) else {
            return if count == 0 {
                Ok(())
            } else {
                Err(format!("job {job} was never asked for"))
            };
        };
        let must = matches!(known.fate, Fate::Acked(at) if at <= before.acks);
        let may = known.fate != Fate::Absent;
        match count {
            0 if must => Err(format!("job {job} was acknowledged and is missing")),
            // A snapshot taken before it was first seen may end later; only what the next ones say is certain.
            0 => Ok(()),
            2 if may => {
                known.seen = true;
                Ok(())
            }
            2 => Err(format!("job {job} was answered with \"nothing was done\" and is there")),
            other => Err(format!("job {job} has {other} of its 2 rows")),
        }
    }

    /// What a look at everything may give. `still`: nothing was on its way meanwhile, so unknown outcomes are settled.
    pub fn saw_all(&self, before: Before, snapshot: &Snapshot, still: bool) -> Result<(), String> {
        let floor = snapshot.floor;
        if floor < before.floor || floor > self.floor_tried.get() {
            return Err(format!(
                "the floor is {floor}, known are {} to {}",
                before.floor,
                self.floor_tried.get()
            ));
        }
        let mut counts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (job, side) in &snapshot.rows {
            counts.entry(*job).or_default().push(*side);
        }
        for (job, sides) in &counts {
            if *job < floor {
                return Err(format!(
                    "job {job} was trimmed together with the floor {floor}, and is there"
                ));
            }
            if *sides != [0, 1] {
                return Err(format!("job {job} has the rows {sides:?}"));
            }
        }
        let known: Vec<i64> = self.jobs.borrow().range(floor..).map(|(job, _)| *job).collect();
        for job in counts.keys().chain(known.iter()) {
            self.saw(before, *job, counts.get(job).map_or(0, Vec::len))?;
        }
        if still { self.resolve(&counts, floor) } else { Ok(()) }
    }

    /// After a later commit was acknowledged, and with nothing on its way, what is there stays and what isn't never comes.
    fn resolve(&self, counts: &BTreeMap<i64, Vec<i64>>, floor: i64) -> Result<(), String> {
        let acks = self.acks.get();
        let mut jobs = self.jobs.borrow_mut();
        for (job, known) in jobs.range_mut(floor..) {
            let is_there = counts.contains_key(job);
            if known.seen && !is_there {
                return Err(format!("job {job} ({:?}) was seen and is gone", known.fate));
            }
            if let Fate::Maybe(since) = known.fate
                && since < acks
            {
                known.fate = if is_there { Fate::Acked(0) } else { Fate::Absent };
            }
        }
        jobs.retain(|job, known| *job >= floor || known.fate == Fate::Pending);
        Ok(())
    }

    /// Jobs that are remembered.
    pub fn remembered(&self) -> usize {
        self.jobs.borrow().len()
    }

    /// Where a trim would put the floor: what has its answer is settled history, and a job whose caller still waits may
    /// come after the trim, because callers have no order among themselves.
    pub fn trim(&self) -> i64 {
        let jobs = self.jobs.borrow();
        let first_pending = jobs.iter().find(|(_, known)| known.fate == Fate::Pending);
        let floor = first_pending
            .or(jobs.last_key_value())
            .map_or(0, |(job, known)| job + i64::from(known.fate != Fate::Pending))
            .max(self.floor_tried.get());
        self.floor_tried.set(floor);
        floor
    }

    pub fn trimmed(&self, floor: i64) {
        self.floor_acked.set(self.floor_acked.get().max(floor));
    }
}
