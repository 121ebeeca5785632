//! The shim itself: an `sqlite3_vfs` whose files stand in front of those of the system's VFS, method by method.
//!
//! What must stay true: each method asks [`super::meet`] first and otherwise passes its arguments on unchanged; what
//! can't fail without breaking SQLite's own rules (unlocking, closing) never does. Version 3 of both structures, as the
//! system's VFS has, so that WAL works: the shared memory is the system's own.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi::{
    SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_SHM_LOCK, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods,
    sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::{Call, ERRNO, meet};

/// A file of the shim; the memory behind it is that of the real file.
#[repr(C)]
struct ShimFile {
    base: sqlite3_file,
    path: Option<Box<str>>,
}

/// The two VFS structures, which live as long as the process.
struct Registered {
    shim: sqlite3_vfs,
    real: *mut sqlite3_vfs,
}

// SAFETY: both structures are written once, before they are registered; SQLite itself calls them from every thread.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

static REGISTERED: OnceLock<Registered> = OnceLock::new();

/// Registers the shim as the default VFS.
pub fn install() {
    // SAFETY: null asks for the default VFS, which lives as long as the process; its structure is plain data, copied.
    let (real, mut shim) = unsafe {
        let real = sqlite3_vfs_find(ptr::null());
        (real, *real)
    };
    shim.szOsFile += size_of::<ShimFile>() as c_int;
    shim.zName = c"breaking".as_ptr();
    shim.pNext = ptr::null_mut();
    shim.xOpen = Some(open);
    shim.xDelete = Some(delete);
    shim.xAccess = Some(access);
    shim.xGetLastError = Some(last_error);
    let registered = REGISTERED.get_or_init(|| Registered { shim, real });
    // SAFETY: the structure never moves or ends. SQLite writes `pNext` of it, under its own lock, and we never read it.
    let code = unsafe { sqlite3_vfs_register((&raw const registered.shim).cast_mut(), 1) };
    assert_eq!(code, SQLITE_OK, "the shim is the default VFS");
}

fn real_vfs() -> *mut sqlite3_vfs {
    REGISTERED.get().expect("SQLite calls what was registered").real
}

/// The path that SQLite passed; temporary files have none.
///
/// # Safety
/// Null, or a C string.
unsafe fn text(name: *const c_char) -> Option<Box<str>> {
    // SAFETY: the caller's promise.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into())
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes for the file: ours, and behind them those of the real one, which stays
    // aligned because the size of `ShimFile` is a multiple of its alignment. Without methods nothing is closed.
    unsafe {
        (*file).pMethods = ptr::null();
        let path = text(name);
        if let Some(failure) = meet(Call::Open, path.as_deref().unwrap_or("")) {
            return failure.code;
        }
        let real = behind(file);
        (*real).pMethods = ptr::null();
        let opens = (*real_vfs()).xOpen.expect("every VFS has it");
        let code = opens(real_vfs(), name, real, flags, out_flags);
        if code == SQLITE_OK {
            (&raw mut (*file.cast::<ShimFile>()).path).write(path);
            (*file).pMethods = &raw const METHODS;
        } else if !(*real).pMethods.is_null() {
            // SQLite's rule for a VFS that sets methods and fails.
            ((*(*real).pMethods).xClose.expect("every file has it"))(real);
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: the arguments are SQLite's own, passed on.
    unsafe {
        match meet(Call::Delete, text(name).as_deref().unwrap_or("")) {
            Some(failure) => failure.code,
            None => ((*real_vfs()).xDelete.expect("every VFS has it"))(real_vfs(), name, sync_folder),
        }
    }
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: the arguments are SQLite's own, passed on.
    unsafe {
        match meet(Call::Access, text(name).as_deref().unwrap_or("")) {
            Some(failure) => failure.code,
            None => ((*real_vfs()).xAccess.expect("every VFS has it"))(real_vfs(), name, flags, out),
        }
    }
}

unsafe extern "C" fn last_error(_: *mut sqlite3_vfs, size: c_int, text: *mut c_char) -> c_int {
    if let Some(made_up) = ERRNO.take() {
        return made_up;
    }
    // SAFETY: the arguments are SQLite's own, passed on.
    unsafe { ((*real_vfs()).xGetLastError.expect("version 3 has it"))(real_vfs(), size, text) }
}

/// The real file.
///
/// # Safety
/// `file` is one of the shim's.
unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the real file's memory begins where the shim's part ends.
    unsafe { file.cast::<ShimFile>().add(1).cast() }
}

/// The failure that a call to this file meets now.
///
/// # Safety
/// `file` is an open one of the shim's.
unsafe fn meets(file: *mut sqlite3_file, call: Call) -> Option<super::Failure> {
    // SAFETY: `open` has written the path, and `close` alone ends it.
    let path = unsafe { &(*file.cast::<ShimFile>()).path };
    meet(call, path.as_deref().unwrap_or(""))
}

/// A method that passes its arguments on, and one that may meet a failure first.
macro_rules! method {
    ($name:ident, $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? $(, $call:ident)?) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) $(-> $result)? {
            // SAFETY: SQLite calls this with a file that `open` made, and the real one has the same methods.
            unsafe {
                $(if let Some(failure) = meets(file, Call::$call) {
                    return failure.code;
                })?
                let real = behind(file);
                ((*(*real).pMethods).$method.expect("version 3 has it"))(real, $($argument),*)
            }
        }
    };
}

method!(read, xRead(into: *mut c_void, bytes: c_int, at: sqlite3_int64) -> c_int, Read);
method!(truncate, xTruncate(size: sqlite3_int64) -> c_int, Truncate);
method!(sync, xSync(flags: c_int) -> c_int, Sync);
method!(file_size, xFileSize(size: *mut sqlite3_int64) -> c_int, FileSize);
method!(lock, xLock(level: c_int) -> c_int, Lock);
method!(unlock, xUnlock(level: c_int) -> c_int);
method!(check_reserved, xCheckReservedLock(out: *mut c_int) -> c_int);
method!(control, xFileControl(operation: c_int, argument: *mut c_void) -> c_int);
method!(sector_size, xSectorSize() -> c_int);
method!(characteristics, xDeviceCharacteristics() -> c_int);
method!(shm_map, xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int, ShmMap);
method!(shm_barrier, xShmBarrier());
method!(shm_unmap, xShmUnmap(and_delete: c_int) -> c_int);
method!(fetch, xFetch(at: sqlite3_int64, bytes: c_int, out: *mut *mut c_void) -> c_int);
method!(unfetch, xUnfetch(at: sqlite3_int64, page: *mut c_void) -> c_int);

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, bytes: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: as in `method!`; half of the bytes is no more than all of them.
    unsafe {
        let real = behind(file);
        let writes = (*(*real).pMethods).xWrite.expect("every file has it");
        match meets(file, Call::Write) {
            None => writes(real, from, bytes, at),
            Some(failure) if failure.torn => match writes(real, from, bytes / 2, at) {
                SQLITE_OK => SQLITE_IOERR_WRITE,
                code => code,
            },
            Some(failure) => failure.code,
        }
    }
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: as in `method!`. Only locking may fail.
    unsafe {
        if flags & SQLITE_SHM_LOCK != 0
            && let Some(failure) = meets(file, Call::ShmLock)
        {
            return failure.code;
        }
        let real = behind(file);
        ((*(*real).pMethods).xShmLock.expect("version 3 has it"))(real, offset, count, flags)
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the last call to this file: its path ends here, and nothing reads it any more.
    unsafe {
        (&raw mut (*file.cast::<ShimFile>()).path).drop_in_place();
        let real = behind(file);
        ((*(*real).pMethods).xClose.expect("every file has it"))(real)
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
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
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
