//! A disk in memory (floor 1, tests only): what was written, what of it is durable, and who holds which lock.
//!
//! What must stay true: [`Disk::lose_power`] keeps exactly what was synced and a seeded part of the rest, sector by
//! sector; [`Disk::kill`] keeps all that was written; neither leaves a lock or shared memory behind, and a handle of
//! a process that ended can't touch the disk again. A failed sync leaves its writes in the cache and off the disk for
//! good, as Linux does. Called by the VFS and the simulation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::faults::Faults;
use super::locks::{FileLocks, SharedMemory};

const SECTOR: usize = 512;

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// A file, whatever its name.
pub struct Inode {
    pub number: u64,
    /// What a reader sees.
    pub content: Vec<u8>,
    /// What a power loss is certain to leave.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Counts what changed it.
    pub changes: u64,
    pub locks: FileLocks,
    pub memory: Rc<SharedMemory>,
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Inode {
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.changes += 1;
        put(&mut self.content, at, bytes);
        let bytes = bytes.to_vec();
        self.unsynced.push(Change::Write { at, bytes });
    }

    pub fn truncate(&mut self, len: usize) {
        self.changes += 1;
        self.content.truncate(len);
        self.unsynced.push(Change::Truncate(len));
    }

    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { at, bytes } => put(&mut self.durable, at, &bytes),
                Change::Truncate(len) => self.durable.truncate(len),
            }
        }
    }

    /// The system gave up writing these back, and says so once.
    pub fn fail_sync(&mut self) {
        self.unsynced.clear();
    }

    /// Some of the unsynced sectors made it, in no order; a truncation did or did not.
    fn lose_power(&mut self, rng: &mut fastrand::Rng) {
        let kept = rng.u8(0..=4);
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Truncate(len) if rng.bool() => self.durable.truncate(len),
                Change::Truncate(_) => {}
                Change::Write { at, bytes } => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
                        if rng.u8(0..4) < kept {
                            put(&mut self.durable, at + from, &bytes[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        self.content.clone_from(&self.durable);
    }
}

/// The disk.
#[derive(Default)]
pub struct Disk {
    files: RefCell<BTreeMap<String, Rc<RefCell<Inode>>>>,
    numbers: Cell<u64>,
    /// Raised when the process ends: handles of an earlier one are dead.
    pub generation: Cell<u32>,
    /// The process has ended and no new one has begun.
    pub is_dark: Cell<bool>,
    pub faults: Faults,
    /// Bytes of the reserve beside the database.
    pub held_back: Cell<usize>,
}

impl Disk {
    pub fn find(&self, name: &str) -> Option<Rc<RefCell<Inode>>> {
        self.files.borrow().get(name).map(Rc::clone)
    }

    pub fn create(&self, name: &str) -> Rc<RefCell<Inode>> {
        self.numbers.set(self.numbers.get() + 1);
        let inode = Rc::new(RefCell::new(Inode {
            number: self.numbers.get(),
            content: Vec::new(),
            durable: Vec::new(),
            unsynced: Vec::new(),
            changes: 0,
            locks: FileLocks::default(),
            memory: Rc::default(),
        }));
        self.files.borrow_mut().insert(name.to_owned(), Rc::clone(&inode));
        inode
    }

    /// What a file holds; nothing when there is none.
    pub fn copy(&self, name: &str) -> Vec<u8> {
        self.find(name)
            .map(|file| file.borrow().content.clone())
            .unwrap_or_default()
    }

    /// A new file, durable, in the place of one of this name; who has that one open keeps it.
    pub fn place(&self, name: &str, content: &[u8]) -> Rc<RefCell<Inode>> {
        let file = self.create(name);
        file.borrow_mut().write(0, content);
        file.borrow_mut().sync();
        file
    }

    /// Takes the name away; who has the file open keeps it.
    pub fn remove(&self, name: &str) -> Option<Rc<RefCell<Inode>>> {
        self.files.borrow_mut().remove(name)
    }

    /// The name is given to a file again.
    pub fn put_back(&self, name: &str, file: Rc<RefCell<Inode>>) {
        self.files.borrow_mut().insert(name.to_owned(), file);
    }

    /// Bytes in files that have a name, and those held back.
    pub fn used(&self) -> usize {
        let files: usize = self.files.borrow().values().map(|f| f.borrow().content.len()).sum();
        files + self.held_back.get()
    }

    /// The process ends; the system lives on.
    pub fn kill(&self) {
        self.generation.set(self.generation.get() + 1);
        self.is_dark.set(true);
        for file in self.files.borrow().values() {
            let mut file = file.borrow_mut();
            file.locks = FileLocks::default();
            file.memory = Rc::default();
        }
    }

    /// The machine goes dark and comes back.
    pub fn lose_power(&self, rng: &mut fastrand::Rng) {
        self.kill();
        for file in self.files.borrow().values() {
            file.borrow_mut().lose_power(rng);
        }
    }
}
