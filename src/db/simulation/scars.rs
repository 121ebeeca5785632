//! Connections after which nobody may ask again (floor 1, tests only): marked by who saw the trouble, and found by who
//! uses one next.
//!
//! What must stay true: the mark is SQLite's to keep, in the connection itself, so that it says nothing of what the layer
//! believes of it.

use std::ffi::CStr;

use rusqlite::{Connection, ffi};

use super::world;
use crate::db::classify::{Impact, classify_error};

const NAME: &CStr = c"saw trouble";

/// Nobody shall use it any more.
pub fn mark(connection: &Connection) {
    // SAFETY: the handle is open; the pointer is never followed, and nothing is to be freed.
    unsafe {
        let anything = NAME.as_ptr().cast_mut().cast();
        ffi::sqlite3_set_clientdata(connection.handle(), NAME.as_ptr(), anything, None);
    }
}

/// Uses a connection, which must not have seen trouble before; marks it when it sees some now.
pub fn watch<T>(connection: &Connection, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    // SAFETY: the handle is open.
    let marked = unsafe { ffi::sqlite3_get_clientdata(connection.handle(), NAME.as_ptr()) };
    if !marked.is_null()
        && let Some(world) = world::current()
    {
        world.fail("a connection is used again that saw an error, a panic, or a transaction left open");
    }
    work(connection).inspect_err(|error| {
        if matches!(
            classify_error(error).impact,
            Impact::Failure | Impact::OpensWrite | Impact::Isolates
        ) {
            mark(connection);
        }
    })
}
