//! Starting on a full disk (floor 1): with the room of the reserve, so that what is there can be read.
//!
//! What must stay true: the reserve is given up only when SQLite could not make or write a file and there is no room
//! indeed; the database then begins as one whose disk is full. Called by [`Database::open`](super::Database::open).

use rusqlite::ffi;

use super::Options;
use crate::db::classify;
use crate::db::disk::Space;
use crate::db::migrations::{Prepared, prepare};
use crate::db::open_error::OpenError;
use crate::db::reserve::Reserve;

/// Less than this is no room: SQLite's shared memory, the head of a log and a few pages want so much.
const ROOM_TO_START: u64 = 1 << 20;

/// Makes the file ready. Where the disk is so full that SQLite can't even make its log and shared memory, reading would
/// end with it: so the reserve is given up and it is tried once more. Whether that was needed.
pub fn prepare_with_reserve(options: &Options) -> Result<(Prepared, bool), OpenError> {
    let gives_pages_back = options.settings.gives_pages_back;
    let attempt = || {
        prepare(
            &options.path,
            options.application_id,
            options.migrations,
            gives_pages_back,
        )
    };
    let first = match attempt() {
        Err(error) if wants_room(&error) && free_bytes(options).is_some_and(|free| free < ROOM_TO_START) => error,
        settled => return settled.map(|prepared| (prepared, false)),
    };
    let reserve = Reserve::beside(&options.path);
    if !reserve.is_left() {
        return Err(in_words(first, options));
    }
    tracing::warn!(database = options.name, error = %first, "the disk is full: the reserve is given up to start");
    reserve.release();
    attempt().map(|prepared| (prepared, true)).map_err(|error| {
        if wants_room(&error) {
            in_words(error, options)
        } else {
            error
        }
    })
}

/// Whether SQLite could not write or make a file: for want of room, or for another reason.
fn wants_room(error: &OpenError) -> bool {
    let OpenError::Sqlite { source, .. } = error else {
        return false;
    };
    let Some(code) = classify::code_of(source) else {
        return false;
    };
    matches!(code & 0xff, ffi::SQLITE_FULL | ffi::SQLITE_CANTOPEN)
        || matches!(
            code,
            ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP
        )
}

/// What can still be taken where the file lies; nothing where no file can be made.
fn free_bytes(options: &Options) -> Option<u64> {
    let space = Space::of(options.path.parent().filter(|folder| !folder.as_os_str().is_empty())?)?;
    Some(if space.free_inodes == Some(0) {
        0
    } else {
        space.free_bytes
    })
}

fn in_words(error: OpenError, options: &Options) -> OpenError {
    match error {
        OpenError::Sqlite { path, source, .. } => OpenError::DiskFull {
            path,
            free_kib: free_bytes(options).unwrap_or(0) >> 10,
            needed_kib: ROOM_TO_START >> 10,
            source,
        },
        other => other,
    }
}
