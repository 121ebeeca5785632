//! Locks and shared memory of a simulated file (floor 1, tests only), after SQLite's own rules.
//!
//! What must stay true: a lock is granted when no other holder conflicts, a simulated foreign process included, and
//! otherwise refused at once; a region of shared memory never moves while anybody may look at it.
//! The rules are those of <https://sqlite.org/lockingv3.html> and of `xShmLock` in `sqlite3.h`.

use std::cell::{Cell, RefCell};

use rusqlite::ffi;

/// Who holds which lock on the file itself: (handle, SQLITE_LOCK_…).
#[derive(Default)]
pub struct FileLocks(Vec<(u64, i32)>);

impl FileLocks {
    /// The level that a handle holds.
    pub fn held(&self, handle: u64) -> i32 {
        self.0.iter().find(|held| held.0 == handle).map_or(0, |held| held.1)
    }

    fn set(&mut self, handle: u64, level: i32) {
        self.0.retain(|held| held.0 != handle);
        if level > ffi::SQLITE_LOCK_NONE {
            self.0.push((handle, level));
        }
    }

    /// Raises a handle's lock; `false` when somebody else's is in the way.
    pub fn raise(&mut self, handle: u64, wanted: i32) -> bool {
        if self.held(handle) >= wanted {
            return true;
        }
        let highest = self.0.iter().filter(|h| h.0 != handle).map(|h| h.1).max().unwrap_or(0);
        let free = match wanted {
            ffi::SQLITE_LOCK_SHARED => highest < ffi::SQLITE_LOCK_PENDING,
            ffi::SQLITE_LOCK_RESERVED => highest < ffi::SQLITE_LOCK_RESERVED,
            _ => highest == ffi::SQLITE_LOCK_NONE,
        };
        if free {
            self.set(handle, wanted);
        } else if wanted == ffi::SQLITE_LOCK_EXCLUSIVE && highest == ffi::SQLITE_LOCK_SHARED {
            // Readers may end, new ones may not come.
            self.set(handle, ffi::SQLITE_LOCK_PENDING);
        }
        free
    }

    /// Lowers a handle's lock.
    pub fn lower(&mut self, handle: u64, level: i32) {
        if self.held(handle) > level {
            self.set(handle, level);
        }
    }

    /// Whether anybody intends to write.
    pub fn is_reserved(&self) -> bool {
        self.0.iter().any(|held| held.1 >= ffi::SQLITE_LOCK_RESERVED)
    }
}

const REGION: usize = 32 << 10;

struct Holder {
    handle: u64,
    shared: u8,
    exclusive: u8,
}

/// The shared memory of one database and its eight locks.
#[derive(Default)]
pub struct SharedMemory {
    regions: RefCell<Vec<Box<[Cell<u8>; REGION]>>>,
    holders: RefCell<Vec<Holder>>,
    /// Held exclusively by another process.
    pub foreign: Cell<u8>,
}

impl SharedMemory {
    /// The region, made when `extend` says so; null when it is not there.
    pub fn region(&self, handle: u64, index: usize, extend: bool) -> *mut std::ffi::c_void {
        self.own(handle, |_| ());
        let mut regions = self.regions.borrow_mut();
        while extend && regions.len() <= index {
            regions.push(Box::new([const { Cell::new(0) }; REGION]));
        }
        regions
            .get(index)
            .map_or(std::ptr::null_mut(), |region| region.as_ptr().cast_mut().cast())
    }

    /// Takes the locks in `mask`; `false` when somebody else's are in the way.
    pub fn lock(&self, handle: u64, mask: u8, exclusive: bool) -> bool {
        let holders = self.holders.borrow();
        let blocked = holders.iter().any(|other| {
            other.handle != handle && (other.exclusive | if exclusive { other.shared } else { 0 }) & mask != 0
        });
        if blocked || self.foreign.get() & mask != 0 {
            return false;
        }
        drop(holders);
        self.own(handle, |own| {
            if exclusive {
                own.exclusive |= mask
            } else {
                own.shared |= mask
            }
        });
        true
    }

    fn own(&self, handle: u64, change: impl FnOnce(&mut Holder)) {
        let mut holders = self.holders.borrow_mut();
        let index = holders.iter().position(|h| h.handle == handle).unwrap_or_else(|| {
            holders.push(Holder {
                handle,
                shared: 0,
                exclusive: 0,
            });
            holders.len() - 1
        });
        change(&mut holders[index]);
    }

    /// Leaves it. The first who comes after the last has left finds it empty, as SQLite's VFS for Unix sees to.
    pub fn leave(&self, handle: u64) {
        self.holders.borrow_mut().retain(|h| h.handle != handle);
        if self.holders.borrow().is_empty() {
            self.regions.borrow_mut().clear();
        }
    }

    /// Gives the locks in `mask` back.
    pub fn unlock(&self, handle: u64, mask: u8) {
        for own in self.holders.borrow_mut().iter_mut().filter(|h| h.handle == handle) {
            own.shared &= !mask;
            own.exclusive &= !mask;
        }
    }

    /// Whether another process may take the locks in `mask` now.
    pub fn is_free(&self, mask: u8) -> bool {
        self.holders
            .borrow()
            .iter()
            .all(|h| (h.shared | h.exclusive) & mask == 0)
    }
}
