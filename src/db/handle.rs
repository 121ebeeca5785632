//! A file through the handle that SQLite itself has of it (floor 1).
//!
//! What must stay true: a database file is never opened a second time to be read or written, because closing it would
//! drop SQLite's POSIX locks. Called by the evidence of damage and by what brings the log to the disk anew.

use std::ffi::c_int;
use std::io;

use rusqlite::{Connection, ffi};

/// A file that SQLite has open, as long as the connection lives.
pub struct Handle<'a> {
    file: &'a mut ffi::sqlite3_file,
    methods: &'a ffi::sqlite3_io_methods,
}

impl<'a> Handle<'a> {
    /// `None` when that file isn't open.
    pub fn of(connection: &'a Connection, which: c_int) -> Option<Self> {
        let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
        // SAFETY: the connection is open, and both operations do nothing but store a pointer to a file object, which
        // lives as long as the connection. Nobody else uses the connection meanwhile: it is borrowed.
        unsafe {
            let asked = ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), which, (&raw mut file).cast());
            let file = (asked == ffi::SQLITE_OK).then_some(file)?.as_mut()?;
            // A file object without methods is one that isn't open.
            let methods = file.pMethods.as_ref()?;
            Some(Self { file, methods })
        }
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// SQLite's.
    pub fn size(&self) -> io::Result<u64> {
        let mut size = 0;
        let ask = self.methods.xFileSize.ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: the method belongs to this open file.
        match unsafe { ask(std::ptr::from_ref(self.file).cast_mut(), &raw mut size) } {
            ffi::SQLITE_OK => Ok(u64::try_from(size).unwrap_or(0)),
            code => Err(io::Error::other(format!("SQLite ({code})"))),
        }
    }

    /// Fills `into` from byte `at` on; whether that went well. What lies past the end reads as zeros.
    pub fn read(&self, into: &mut [u8], at: u64) -> bool {
        let Some(read) = self.methods.xRead else { return false };
        // Chunks are a megabyte and files below SQLite's limit of 2^48 bytes, so that neither is cut.
        let (length, at) = (into.len() as c_int, at as i64);
        // SAFETY: the method belongs to this open file, and the buffer is as long as it is told.
        let code = unsafe {
            read(
                std::ptr::from_ref(self.file).cast_mut(),
                into.as_mut_ptr().cast(),
                length,
                at,
            )
        };
        // A file that grew shorter meanwhile reads as zeros, which SQLite has put there.
        matches!(code, ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ)
    }

    /// Writes `from` at byte `at`; whether that went well.
    pub fn write(&self, from: &[u8], at: u64) -> bool {
        let Some(write) = self.methods.xWrite else { return false };
        let (length, at) = (from.len() as c_int, at as i64);
        // SAFETY: the method belongs to this open file, and the buffer, which is only read, is as long as it is told.
        let code = unsafe {
            write(
                std::ptr::from_ref(self.file).cast_mut(),
                from.as_ptr().cast(),
                length,
                at,
            )
        };
        code == ffi::SQLITE_OK
    }

    /// Has the disk keep what was written; whether it says that it does.
    pub fn sync(&self) -> bool {
        let Some(sync) = self.methods.xSync else { return false };
        // SAFETY: the method belongs to this open file.
        let code = unsafe { sync(std::ptr::from_ref(self.file).cast_mut(), ffi::SQLITE_SYNC_FULL) };
        code == ffi::SQLITE_OK
    }
}
