//! The schema of app.db (floor 2): its steps, in order.
//!
//! What must stay true: a step that was released is never edited; a change is a new step. The composition root
//! hands the list to the database layer.
use crate::db::Migration;

/// Every step of app.db.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "collections and documents",
    sql: include_str!("sql/0001_documents.sql"),
}];

/// A connection of its own in memory with every step applied.
#[cfg(test)]
pub(super) fn fresh() -> rusqlite::Connection {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    for step in MIGRATIONS {
        connection.execute_batch(step.sql).unwrap();
    }
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_without_gaps() {
        let versions: Vec<u32> = MIGRATIONS.iter().map(|m| m.version).collect();
        let expected: Vec<u32> = (1..=MIGRATIONS.len() as u32).collect();
        assert_eq!(versions, expected);
    }

    #[test]
    fn a_stored_body_can_only_be_an_object() {
        let db = fresh();
        db.execute(
            "INSERT INTO collections (id, name, created_at) VALUES (1, 'notes', 0)",
            [],
        )
        .unwrap();
        let insert = "INSERT INTO documents (collection_id, id, body, version, created_at, updated_at) \
                      VALUES (1, ?1, ?2, 1, 0, 0)";
        for wrong in ["[1]", "3", "{\"a\":", " {}", "{} {}"] {
            assert!(db.execute(insert, ["x", wrong]).is_err(), "{wrong}");
        }
        assert_eq!(db.execute(insert, ["x", "{\"a\":{}}"]).unwrap(), 1);
    }
}
