//! The schema of events.db (floor 2): its steps, in order, never edited once released.

use crate::db::Migration;

/// The steps from an empty file to the present schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "events, groups and hourly counts",
        sql: include_str!("schema/001_events.sql"),
    },
    Migration {
        version: 2,
        name: "events in the order of lists, full text",
        sql: include_str!("schema/002_events.sql"),
    },
    Migration {
        version: 3,
        name: "what the grouping learned",
        sql: include_str!("schema/003_grouping.sql"),
    },
    Migration {
        version: 4,
        name: "the life of groups",
        sql: include_str!("schema/004_life.sql"),
    },
    Migration {
        version: 5,
        name: "events leave",
        sql: include_str!("schema/005_removal.sql"),
    },
    Migration {
        version: 6,
        name: "what left by the log's bounds",
        sql: include_str!("schema/006_retention.sql"),
    },
    Migration {
        version: 7,
        name: "samples that stand for many",
        sql: include_str!("schema/007_storm.sql"),
    },
    Migration {
        version: 8,
        name: "fewer segments of the text index",
        sql: include_str!("schema/008_merging.sql"),
    },
    Migration {
        version: 9,
        name: "the order of storing",
        sql: include_str!("schema/009_tail.sql"),
    },
    Migration {
        version: 10,
        name: "who chose a mode of grouping",
        sql: include_str!("schema/010_modes.sql"),
    },
    Migration {
        version: 11,
        name: "the text index newest first",
        sql: include_str!("schema/011_newest_first.sql"),
    },
    Migration {
        version: 12,
        name: "the clock that bounds believe",
        sql: include_str!("schema/012_bounds.sql"),
    },
    Migration {
        version: 13,
        name: "which changes touched a group",
        sql: include_str!("schema/013_moves.sql"),
    },
];

#[cfg(test)]
pub(in crate::events) fn connection() -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_in_memory().expect("an in-memory database");
    for step in MIGRATIONS {
        connection.execute_batch(step.sql).expect(step.name);
    }
    connection
}

#[cfg(test)]
mod tests;
