//! An open file of the simulated disk (floor 1, tests only): SQLite's I/O methods.
//!
//! What must stay true: each call passes the planned faults first; a file of a process that has ended fails every
//! call and changes nothing. Unsafe, because SQLite hands out C pointers: every method gets the file that
//! [`place`] filled, on the thread that opened it, until `close` takes the handle out.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::rc::Rc;

use rusqlite::ffi;

use super::disk::{Disk, Inode};
use super::faults::Call;
use super::locks::SharedMemory;
use super::world;
use crate::clock;

/// An open file, as SQLite sees it.
#[repr(C)]
pub struct SimFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

struct Handle {
    number: u64,
    disk: Rc<Disk>,
    generation: u32,
    inode: Rc<RefCell<Inode>>,
    // Kept so that mapped regions outlive a change of processes.
    memory: Rc<SharedMemory>,
}

thread_local! {
    static NUMBERS: Cell<u64> = const { Cell::new(0) };
}

/// Lets a call through, or says what it fails with. Slowness passes here.
pub fn pass(disk: &Disk, generation: u32, call: Call) -> Result<(), c_int> {
    if disk.generation.get() != generation || disk.is_dark.get() {
        return Err(call.code());
    }
    if let Some(world) = world::current() {
        world.trace.call(call, world.clock.elapsed());
    }
    let verdict = disk.faults.strike(call);
    if let Some(end) = verdict.end {
        world::end(end);
        return Err(call.code());
    }
    if !verdict.takes.is_zero() {
        clock::sleep(verdict.takes);
    }
    match verdict.code {
        Some(code) => Err(code),
        None if disk.generation.get() != generation => Err(call.code()),
        None => Ok(()),
    }
}

/// Fills SQLite's struct with an open file.
///
/// # Safety
/// `into` must have room for a [`SimFile`].
pub unsafe fn place(into: *mut SimFile, disk: Rc<Disk>, inode: Rc<RefCell<Inode>>) {
    NUMBERS.set(NUMBERS.get() + 1);
    let memory = Rc::clone(&inode.borrow().memory);
    let handle = Box::new(Handle {
        number: NUMBERS.get(),
        generation: disk.generation.get(),
        disk,
        inode,
        memory,
    });
    // SAFETY: the caller's promise.
    unsafe {
        (*into).handle = Box::into_raw(handle);
        (*into).base.pMethods = &raw const METHODS;
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The handle behind a file. A call may sleep, and meanwhile other files are used, but never this one.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: `place` made it and only `close` ends it.
    unsafe { &*(*file.cast::<SimFile>()).handle }
}

impl Handle {
    fn pass(&self, call: Call) -> Result<(), c_int> {
        pass(&self.disk, self.generation, call)
    }

    fn is_alive(&self) -> bool {
        self.disk.generation.get() == self.generation
    }
}

macro_rules! passing {
    ($handle:expr, $call:expr) => {
        if let Err(code) = $handle.pass($call) {
            return code;
        }
    };
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once.
    let handle = unsafe { Box::from_raw((*file.cast::<SimFile>()).handle) };
    if handle.is_alive() {
        handle
            .inode
            .borrow_mut()
            .locks
            .lower(handle.number, ffi::SQLITE_LOCK_NONE);
    }
    handle.memory.leave(handle.number);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: `into` has room for `amount` bytes.
    let (handle, into) = unsafe {
        (
            handle(file),
            std::slice::from_raw_parts_mut(into.cast::<u8>(), amount as usize),
        )
    };
    passing!(handle, Call::Read);
    let inode = handle.inode.borrow();
    let there = inode.content.get(offset as usize..).unwrap_or_default();
    let got = there.len().min(into.len());
    into[..got].copy_from_slice(&there[..got]);
    into[got..].fill(0);
    if got == into.len() {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_IOERR_SHORT_READ
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: `from` holds `amount` bytes.
    let (handle, from) = unsafe {
        (
            handle(file),
            std::slice::from_raw_parts(from.cast::<u8>(), amount as usize),
        )
    };
    passing!(handle, Call::Write);
    let grows = (offset as usize + from.len()).saturating_sub(handle.inode.borrow().content.len());
    let capacity = handle.disk.faults.capacity.get();
    if grows > 0 && capacity > 0 && handle.disk.used() + grows > capacity {
        return ffi::SQLITE_FULL;
    }
    handle.inode.borrow_mut().write(offset as usize, from);
    ffi::SQLITE_OK
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: see `handle`.
    let handle = unsafe { handle(file) };
    passing!(handle, Call::Truncate);
    handle.inode.borrow_mut().truncate(size as usize);
    ffi::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: see `handle`.
    let handle = unsafe { handle(file) };
    if let Err(code) = handle.pass(Call::Sync) {
        if handle.is_alive() {
            handle.inode.borrow_mut().fail_sync();
        }
        return code;
    }
    handle.inode.borrow_mut().sync();
    ffi::SQLITE_OK
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: `out` is SQLite's.
    let handle = unsafe { handle(file) };
    passing!(handle, Call::Size);
    unsafe { *out = handle.inode.borrow().content.len() as i64 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `handle`.
    let handle = unsafe { handle(file) };
    passing!(handle, Call::Lock);
    let granted = handle.inode.borrow_mut().locks.raise(handle.number, level);
    if granted { ffi::SQLITE_OK } else { ffi::SQLITE_BUSY }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see `handle`.
    let handle = unsafe { handle(file) };
    if handle.is_alive() {
        handle.inode.borrow_mut().locks.lower(handle.number, level);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: `out` is SQLite's.
    unsafe { *out = c_int::from(handle(file).inode.borrow().locks.is_reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, op: c_int, _argument: *mut c_void) -> c_int {
    if op == ffi::SQLITE_FCNTL_COMMIT_PHASETWO {
        // SAFETY: see `handle`. An error from here fails a COMMIT that everybody sees already.
        passing!(unsafe { handle(file) }, Call::Committed);
    }
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    512
}

unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // What Linux answers for common file systems: a torn write leaves the bytes beside it alone.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    _size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: `out` is SQLite's; the region lives as long as the handle keeps the memory.
    unsafe {
        let handle = handle(file);
        *out = std::ptr::null_mut();
        passing!(handle, Call::Map);
        *out = handle.memory.region(handle.number, index as usize, extend != 0);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: see `handle`.
    let handle = unsafe { handle(file) };
    let mask = (((1_u16 << count) - 1) << offset) as u8;
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.memory.unlock(handle.number, mask);
        return ffi::SQLITE_OK;
    }
    passing!(handle, Call::Lock);
    let exclusive = flags & ffi::SQLITE_SHM_EXCLUSIVE != 0;
    if handle.memory.lock(handle.number, mask, exclusive) {
        ffi::SQLITE_OK
    } else {
        ffi::SQLITE_BUSY
    }
}

unsafe extern "C" fn shm_barrier(_file: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _delete: c_int) -> c_int {
    // SAFETY: see `handle`. The memory itself goes with its last handle, as if each process deleted it.
    let handle = unsafe { handle(file) };
    handle.memory.leave(handle.number);
    ffi::SQLITE_OK
}
