//! The checker of every number that is derived from the events' rows (floor 2, tests): counts all of them anew.
//!
//! What must stay true: it knows nothing of how the numbers are kept; it reads the rows and compares.

use std::collections::BTreeMap;
use std::fmt::Debug;

use rusqlite::Connection;

/// The rows of a query, sorted.
fn rows(c: &Connection, sql: &str) -> Vec<Vec<i64>> {
    let mut statement = c.prepare(sql).expect(sql);
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..columns).map(|n| row.get(n)).collect::<rusqlite::Result<Vec<i64>>>();
    let mut found: Vec<Vec<i64>> = statement
        .query_map([], read)
        .expect(sql)
        .map(|row| row.expect(sql))
        .collect();
    found.sort();
    found
}

fn same<T: PartialEq + Debug>(what: &str, kept: T, counted: T) {
    assert_eq!(kept, counted, "{what}: what is kept, and the recount");
}

/// Compares everything with a recount.
///
/// # Panics
/// Naming the first that differs.
pub fn recount(c: &Connection) {
    same(
        "event_hours",
        rows(c, "SELECT hour, type, severity, count FROM event_hours"),
        rows(
            c,
            "SELECT ((at >> 20) - (((at >> 20) % 3600000) + 3600000) % 3600000) / 3600000, type, severity,
             sum(occurrences)
             FROM events GROUP BY 1, 2, 3",
        ),
    );
    same(
        "event_totals",
        rows(c, "SELECT type, severity, count FROM event_totals WHERE count <> 0"),
        rows(c, "SELECT type, severity, sum(occurrences) FROM events GROUP BY 1, 2"),
    );
    same(
        "kept events of groups",
        rows(
            c,
            "SELECT r.id, r.count - (SELECT sum(removed) FROM groups m WHERE m.id = r.id OR m.parent = r.id)
             FROM groups r WHERE r.parent IS NULL",
        ),
        rows(
            c,
            "SELECT r.id, (SELECT coalesce(sum(occurrences), 0) FROM events WHERE group_id IN
               (SELECT id FROM groups m WHERE m.id = r.id OR m.parent = r.id)) FROM groups r WHERE r.parent IS NULL",
        ),
    );
    same(
        "users of groups",
        rows(c, "SELECT id, users FROM groups WHERE parent IS NULL"),
        rows(
            c,
            "SELECT r.id, (SELECT count(DISTINCT user) FROM group_users WHERE group_id IN
               (SELECT id FROM groups m WHERE m.id = r.id OR m.parent = r.id)) FROM groups r WHERE r.parent IS NULL",
        ),
    );
    index(c);
    orphans(c);
    seen(c);
}

/// Every event is in the text index or waits for it, and nothing else is.
fn index(c: &Connection) {
    same(
        "the text index",
        rows(
            c,
            "SELECT ~rowid FROM event_text WHERE event_text MATCH 'terms : k*'
             UNION ALL SELECT at FROM to_index",
        ),
        rows(c, "SELECT at FROM events"),
    );
}

/// Nothing is left of a group that is gone, and no event is of such a group.
fn orphans(c: &Connection) {
    for (table, column) in [
        ("events", "group_id"),
        ("group_keys", "group_id"),
        ("group_holes", "group_id"),
        ("group_changes", "group_id"),
        ("group_life", "group_id"),
        ("group_history", "group_id"),
        ("group_hours", "group_id"),
        ("group_users", "group_id"),
        ("group_releases", "group_id"),
    ] {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM groups)");
        same(table, rows(c, &sql), vec![vec![0]]);
    }
    let moves = "SELECT count(*) FROM group_moves WHERE change_id NOT IN (SELECT id FROM group_changes)";
    same("group_moves", rows(c, moves), vec![vec![0]]);
}

/// What was ever seen is never less than what is there.
fn seen(c: &Connection) {
    let mut counted: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for row in rows(
        c,
        "SELECT group_id, ((at >> 20) - (((at >> 20) % 3600000) + 3600000) % 3600000) / 3600000, sum(occurrences)
         FROM events GROUP BY 1, 2",
    ) {
        counted.insert((row[0], row[1]), row[2]);
    }
    for row in rows(c, "SELECT group_id, hour, count FROM group_hours") {
        let there = counted.get(&(row[0], row[1])).copied().unwrap_or(0);
        assert!(
            row[2] >= there,
            "group {} in hour {}: seen {}, there {there}",
            row[0],
            row[1],
            row[2]
        );
    }
}
