//! Collections (floor 2): SQL on app.db, over a connection that the caller chose.
//!
//! What must stay true: `documents` is the number of documents, always; a refusal changes nothing. Functions
//! that change run inside the writer's transaction and never begin or end one.
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{CollectionName, Cursor};

/// The most documents that go with their collection in one write, so that other writers wait milliseconds.
pub const DELETED_AT_ONCE_MAX: i64 = 1000;

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// When it was created, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// How many documents it has.
    pub documents: i64,
}

/// A page of the list of collections, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionPage {
    /// The collections.
    pub items: Vec<Collection>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// Why a collection was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionRefusal {
    /// There is none.
    Missing,
    /// It has so many documents, and force was not asked for.
    NotEmpty(i64),
    /// It has so many documents, more than [`DELETED_AT_ONCE_MAX`].
    TooMany(i64),
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Collection> {
    Ok(Collection {
        name: row.get(0)?,
        created_at_ms: row.get(1)?,
        documents: row.get(2)?,
    })
}

/// Creates a collection, or finds it; the flag says whether it is new.
pub fn create(c: &Connection, name: &CollectionName, now_ms: i64) -> rusqlite::Result<(Collection, bool)> {
    let created = c
        .prepare_cached("INSERT INTO collections (name, created_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")?
        .execute(params![name.as_str(), now_ms])?;
    let collection = c
        .prepare_cached("SELECT name, created_at, documents FROM collections WHERE name = ?1")?
        .query_row([name.as_str()], from_row)?;
    Ok((collection, created == 1))
}

/// Lists collections by name, at most `limit`, after the cursor.
pub fn list(c: &Connection, after: Option<&Cursor>, limit: u32) -> rusqlite::Result<CollectionPage> {
    let mut statement =
        c.prepare_cached("SELECT name, created_at, documents FROM collections WHERE name > ?1 ORDER BY name LIMIT ?2")?;
    let rows = statement.query_map(params![after.map_or("", Cursor::key), i64::from(limit) + 1], from_row)?;
    let mut items = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|last| Cursor::after(&last.name));
    Ok(CollectionPage { items, next })
}

/// Deletes a collection that is empty; with `force`, one with at most [`DELETED_AT_ONCE_MAX`] documents.
pub fn delete(c: &Connection, name: &CollectionName, force: bool) -> rusqlite::Result<Result<(), CollectionRefusal>> {
    let found = c
        .prepare_cached("SELECT id, documents FROM collections WHERE name = ?1")?
        .query_row([name.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((id, documents)) = found else {
        return Ok(Err(CollectionRefusal::Missing));
    };
    if documents > 0 && !force {
        return Ok(Err(CollectionRefusal::NotEmpty(documents)));
    }
    if documents > DELETED_AT_ONCE_MAX {
        return Ok(Err(CollectionRefusal::TooMany(documents)));
    }
    c.prepare_cached("DELETE FROM documents WHERE collection_id = ?1")?
        .execute([id])?;
    c.prepare_cached("DELETE FROM collections WHERE id = ?1")?
        .execute([id])?;
    Ok(Ok(()))
}

/// Adds to a collection's count, in the transaction that adds or removes the documents.
pub(super) fn count(c: &Connection, collection_id: i64, by: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE collections SET documents = documents + ?2 WHERE id = ?1")?
        .execute([collection_id, by])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::schema::fresh;

    fn name(text: &str) -> CollectionName {
        CollectionName::parse(text).unwrap()
    }

    fn fill(db: &Connection, collection: &str, documents: i64) {
        let id: i64 = db
            .query_row("SELECT id FROM collections WHERE name = ?1", [collection], |row| {
                row.get(0)
            })
            .unwrap();
        for n in 0..documents {
            db.execute(
                "INSERT INTO documents VALUES (?1, ?2, '{}', 1, 0, 0)",
                params![id, format!("d{n}")],
            )
            .unwrap();
        }
        count(db, id, documents).unwrap();
    }

    #[test]
    fn creating_twice_finds_the_first() {
        let db = fresh();
        let (first, new) = create(&db, &name("notes"), 5).unwrap();
        assert!(new);
        assert_eq!(
            first,
            Collection {
                name: "notes".into(),
                created_at_ms: 5,
                documents: 0
            }
        );
        assert_eq!(create(&db, &name("notes"), 9).unwrap(), (first, false));
    }

    #[test]
    fn pages_go_by_name_and_end() {
        let db = fresh();
        for n in ["c", "a", "d", "b"] {
            create(&db, &name(n), 0).unwrap();
        }
        let names = |page: &CollectionPage| page.items.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let first = list(&db, None, 2).unwrap();
        assert_eq!(names(&first), ["a", "b"]);
        create(&db, &name("aa"), 0).unwrap();
        let second = list(&db, first.next.as_ref(), 2).unwrap();
        assert_eq!(names(&second), ["c", "d"]);
        assert_eq!(second.next, None);
    }

    #[test]
    fn only_an_empty_collection_goes_without_force() {
        let db = fresh();
        assert_eq!(
            delete(&db, &name("notes"), true).unwrap(),
            Err(CollectionRefusal::Missing)
        );
        create(&db, &name("notes"), 0).unwrap();
        create(&db, &name("other"), 0).unwrap();
        fill(&db, "notes", 3);
        fill(&db, "other", 2);
        assert_eq!(
            delete(&db, &name("notes"), false).unwrap(),
            Err(CollectionRefusal::NotEmpty(3))
        );
        assert_eq!(delete(&db, &name("notes"), true).unwrap(), Ok(()));
        let left: i64 = db
            .query_row("SELECT count(*) FROM documents", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 2, "the other collection keeps its documents");
        assert_eq!(list(&db, None, 9).unwrap().items.len(), 1);
    }

    #[test]
    fn a_large_collection_does_not_go_at_once() {
        let db = fresh();
        create(&db, &name("notes"), 0).unwrap();
        fill(&db, "notes", DELETED_AT_ONCE_MAX + 1);
        assert_eq!(
            delete(&db, &name("notes"), true).unwrap(),
            Err(CollectionRefusal::TooMany(DELETED_AT_ONCE_MAX + 1))
        );
        assert_eq!(list(&db, None, 9).unwrap().items[0].documents, DELETED_AT_ONCE_MAX + 1);
    }
}
