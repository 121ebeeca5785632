//! An empty copy of a database's schema in memory, in which indexes can be tried (floor 1).
//!
//! What must stay true: nothing is ever created in the real file; the copy holds its statistics (`sqlite_stat1`), so that
//! the planner weighs what it weighs there, but not one of its rows.

use rusqlite::{Connection, OptionalExtension, params};

/// What a file says of its tables.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The SQL of tables, indexes and views, in the order they were made.
    sql: Vec<String>,
    /// Rows of `sqlite_stat1`.
    statistics: Vec<(String, Option<String>, Option<String>)>,
}

impl Schema {
    /// Reads it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = connection
            .prepare_cached(
                "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' \
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type <> 'table', type <> 'view', rowid",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let analysed = connection
            .prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")?
            .query_row([], |_| Ok(()))
            .optional()?;
        let mut schema = Self {
            sql,
            statistics: Vec::new(),
        };
        if analysed.is_some() {
            schema.statistics = connection
                .prepare_cached("SELECT tbl, idx, stat FROM sqlite_stat1")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
        }
        Ok(schema)
    }

    /// The copy. What can't be made there (the table of a module that isn't loaded, or what leans on it) is left out: a
    /// statement that needs it can't be planned and gets no advice.
    ///
    /// # Errors
    /// SQLite's, when there can be no database in memory.
    pub fn copy(&self) -> rusqlite::Result<Connection> {
        let copy = Connection::open_in_memory()?;
        for sql in &self.sql {
            let _ = copy.execute_batch(sql);
        }
        if !self.statistics.is_empty() {
            // On no rows this makes the table alone; the second one makes the planner read it.
            copy.execute_batch("ANALYZE")?;
            for (table, index, stat) in &self.statistics {
                copy.prepare_cached("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)")?
                    .execute(params![table, index, stat])?;
            }
            copy.execute_batch("ANALYZE sqlite_schema")?;
        }
        Ok(copy)
    }
}

/// The columns of a table; none when there is no such table.
///
/// # Errors
/// SQLite's.
pub fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT p.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS p \
               WHERE s.type = 'table' AND s.name = ?1 COLLATE NOCASE";
    connection
        .prepare_cached(sql)?
        .query_map([table], |row| row.get(0))?
        .collect()
}
