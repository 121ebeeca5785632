//! SQLite's door to the simulated disk (floor 1, tests only): a VFS in front of the system's own.
//!
//! What must stay true: paths below [`ROOT`] lead to the disk of the thread's simulation and all others, untouched,
//! to the system; a file is used on the thread that opened it. `sqlite3_vfs` and `sqlite3_file` are C structs with
//! functions, so this and [`super::file`] are the unsafe part of the simulation and hold no other logic.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use rusqlite::ffi;

use super::disk::Disk;
use super::faults::Call;
use super::file::{self, SimFile};
use crate::clock;

/// The folder of simulated files.
pub const ROOT: &str = "/simulated/";

thread_local! {
    static DISK: RefCell<Option<Rc<Disk>>> = const { RefCell::new(None) };
}

/// The disk of this thread's simulation.
pub fn disk() -> Option<Rc<Disk>> {
    DISK.with_borrow(Clone::clone)
}

/// Puts a disk in, or takes it out.
pub fn install(disk: Option<Rc<Disk>>) {
    register();
    DISK.set(disk);
}

/// Makes this the default VFS of the process, once.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the system's VFS lives as long as the process; its copy, with our functions in front, is leaked so
        // that it does too. Functions that we don't replace never look at the struct they were found in.
        unsafe {
            let system = ffi::sqlite3_vfs_find(std::ptr::null());
            assert!(!system.is_null(), "SQLite has a default VFS");
            let mut own: ffi::sqlite3_vfs = std::ptr::read(system);
            own.zName = c"simulated".as_ptr();
            own.pNext = std::ptr::null_mut();
            own.pAppData = system.cast();
            own.szOsFile = own.szOsFile.max(size_of::<SimFile>() as c_int);
            own.xOpen = Some(open);
            own.xDelete = Some(delete);
            own.xAccess = Some(access);
            own.xFullPathname = Some(full_pathname);
            own.xSleep = Some(sleep);
            own.xCurrentTime = Some(current_time);
            own.xCurrentTimeInt64 = Some(current_time_int64);
            own.xGetLastError = Some(last_error);
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(own)), 1), ffi::SQLITE_OK);
        }
    });
}

/// The system's VFS behind ours.
unsafe fn system(own: *mut ffi::sqlite3_vfs) -> *mut ffi::sqlite3_vfs {
    // SAFETY: `own` is the struct registered above, whose pAppData is the system's.
    unsafe { (*own).pAppData.cast() }
}

/// The disk and the name, for a path of ours.
unsafe fn ours(name: *const c_char) -> Option<(Rc<Disk>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite passes names that end in a zero.
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let disk = name.starts_with(ROOT).then(disk)??;
    Some((disk, name.to_owned()))
}

unsafe extern "C" fn open(
    own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    into: *mut ffi::sqlite3_file,
    flags: c_int,
    granted: *mut c_int,
) -> c_int {
    // SAFETY: `into` has room for szOsFile bytes, which SimFile fits in; the rest is passed on as it came.
    unsafe {
        let Some((disk, name)) = ours(name) else {
            let system = system(own);
            return (*system)
                .xOpen
                .map_or(ffi::SQLITE_CANTOPEN, |f| f(system, name, into, flags, granted));
        };
        (*into).pMethods = std::ptr::null();
        if let Err(code) = file::pass(&disk, disk.generation.get(), Call::Open) {
            return code;
        }
        let inode = match disk.find(&name) {
            Some(inode) => inode,
            None if flags & ffi::SQLITE_OPEN_CREATE != 0 => disk.create(&name),
            None => return ffi::SQLITE_CANTOPEN,
        };
        if !granted.is_null() {
            *granted = flags;
        }
        file::place(into.cast(), disk, inode);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(own: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let Some((disk, name)) = ours(name) else {
            let system = system(own);
            return (*system)
                .xDelete
                .map_or(ffi::SQLITE_IOERR_DELETE, |f| f(system, name, sync));
        };
        match file::pass(&disk, disk.generation.get(), Call::Delete) {
            Err(code) => code,
            Ok(()) if disk.remove(&name).is_some() => ffi::SQLITE_OK,
            Ok(()) => ffi::SQLITE_IOERR_DELETE_NOENT,
        }
    }
}

unsafe extern "C" fn access(own: *mut ffi::sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: `out` is SQLite's; the rest is passed on as it came.
    unsafe {
        let Some((disk, name)) = ours(name) else {
            let system = system(own);
            return (*system)
                .xAccess
                .map_or(ffi::SQLITE_IOERR_ACCESS, |f| f(system, name, flags, out));
        };
        if let Err(code) = file::pass(&disk, disk.generation.get(), Call::Access) {
            return code;
        }
        // As the system's VFS: an empty file doesn't exist, because an empty log or journal says nothing.
        let found = disk
            .find(&name)
            .is_some_and(|f| flags != ffi::SQLITE_ACCESS_EXISTS || !f.borrow().content.is_empty());
        *out = c_int::from(found);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn full_pathname(
    own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: `out` has room for `size` bytes, which is checked.
    unsafe {
        if ours(name).is_none() {
            let system = system(own);
            return (*system)
                .xFullPathname
                .map_or(ffi::SQLITE_CANTOPEN, |f| f(system, name, size, out));
        }
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > size as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), out, bytes.len());
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn sleep(_own: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    clock::sleep(Duration::from_micros(microseconds.max(0).unsigned_abs().into()));
    microseconds
}

/// Milliseconds of the Julian day at the Unix epoch.
const JULIAN_EPOCH_MS: i64 = 210_866_760_000_000;

unsafe extern "C" fn current_time_int64(own: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: `out` is SQLite's; the rest is passed on as it came.
    unsafe {
        if let Some(world) = super::world::current() {
            *out = JULIAN_EPOCH_MS + world.elapsed_ms();
            return ffi::SQLITE_OK;
        }
        let system = system(own);
        (*system)
            .xCurrentTimeInt64
            .map_or(ffi::SQLITE_ERROR, |f| f(system, out))
    }
}

unsafe extern "C" fn current_time(own: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    let mut ms = 0;
    // SAFETY: both are passed on as they came.
    unsafe {
        let code = current_time_int64(own, &raw mut ms);
        *out = ms as f64 / 86_400_000.0;
        code
    }
}

unsafe extern "C" fn last_error(own: *mut ffi::sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: passed on as it came. A simulated disk has no error numbers of its own.
    unsafe {
        if disk().is_some() {
            return 0;
        }
        let system = system(own);
        (*system).xGetLastError.map_or(0, |f| f(system, size, out))
    }
}
