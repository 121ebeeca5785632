//! Which b-trees of a file are damaged (floor 1): its tables are read to their end, and each is checked by itself.
//!
//! What must stay true: a table is whole only if its own tree is in order and every value in it could be read without an
//! index; whatever can't be told to concern an index alone counts as more. The words of SQLite's check are the only
//! source for which tree they are about: they are the check's result, not an error's message. A check of one table looks
//! at its rows' tree first, so that many findings in an index don't hide one there.
//!
//! A `WITHOUT ROWID` table is the tree of its primary key; `sqlite_schema` has no line for that index. Called by `verify`.

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;

use super::{Depth, MOST_FINDINGS, STOPPED, findings, is_damage};

/// Where damage was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blamed {
    /// Tables that are not whole.
    pub tables: BTreeSet<String>,
    /// Indexes.
    pub indexes: BTreeSet<String>,
    /// Something that no table and no index explains.
    pub beside: bool,
    /// Why tables could not be read to their end.
    pub unreadable: Vec<String>,
}

/// What a line of the check is about.
#[derive(Debug, PartialEq, Eq)]
enum About {
    /// The pages of an index.
    Pages(String),
    /// What an index says of its table.
    Entries(String),
    /// A page that nothing leads to: what was below a damaged page of an index looks like this.
    Lost,
    /// It says no more than that there is damage.
    Stopped,
    /// A table, or the file.
    Other,
}

/// Looks into every table of a file in which the check of the whole found these lines.
///
/// # Errors
/// SQLite's: the schema can't be read, or there was no time.
pub fn look(file: &Connection, whole: &[String]) -> rusqlite::Result<Blamed> {
    let roots = index_roots(file)?;
    let mut blamed = Blamed::default();
    for table in tables(file)? {
        blamed.examine(file, &table, &roots)?;
    }
    let about: Vec<_> = whole.iter().map(|line| about(line, &roots)).collect();
    // A REINDEX that came no further than to replace torn indexes has left their pages behind.
    let replaced = replaced_indexes(file)?;
    let torn = replaced.is_some() || about.iter().any(|about| matches!(about, About::Pages(_)));
    blamed.indexes.extend(replaced.into_iter().flatten());
    for about in about {
        match about {
            About::Pages(index) | About::Entries(index) => _ = blamed.indexes.insert(index),
            About::Lost => blamed.beside |= !torn,
            About::Other => blamed.beside = true,
            About::Stopped => {}
        }
    }
    Ok(blamed)
}

impl Blamed {
    fn examine(&mut self, file: &Connection, table: &str, roots: &HashMap<String, String>) -> rusqlite::Result<()> {
        if let Err(error) = read_whole(file, table) {
            if !is_damage(&error) {
                return Err(error);
            }
            self.tables.insert(table.to_owned());
            let why = format!("the table {table} can't be read to its end: {error}");
            self.unreadable.push(why);
        }
        let lines = findings(file, Depth::Everything, &quoted(table))?;
        if lines.is_empty() {
            return Ok(());
        }
        let known = self.indexes.len();
        for line in &lines {
            match about(line, roots) {
                About::Pages(index) | About::Entries(index) => _ = self.indexes.insert(index),
                About::Lost | About::Stopped => {}
                About::Other => _ = self.tables.insert(table.to_owned()),
            }
        }
        // The rows are whole, and still it was stopped or cut: what it didn't come to see are indexes.
        let unseen = lines.len() == MOST_FINDINGS || self.indexes.len() == known;
        if unseen && !self.tables.contains(table) {
            self.indexes.extend(indexes_of(file, table)?);
        }
        Ok(())
    }
}

/// Every value of every row, without a look at an index.
fn read_whole(file: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut statement = file.prepare(&format!("SELECT * FROM {} NOT INDEXED", quoted(table)))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            row.get_ref(column)?;
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The schema's own, and those that are stored in the file as they are.
fn tables(file: &Connection) -> rusqlite::Result<Vec<String>> {
    file.prepare(
        "SELECT 'sqlite_schema' UNION ALL SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

fn indexes_of(file: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    file.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

/// The indexes that were replaced and whose old pages belong to nobody yet; `None` where there is nothing to give back.
///
/// # Errors
/// SQLite's.
pub fn replaced_indexes(file: &Connection) -> rusqlite::Result<Option<Vec<String>>> {
    if !file.table_exists(None, "mainstay_spare")? {
        return Ok(None);
    }
    let mut names = file.prepare("SELECT name FROM mainstay_spare")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(names))
}

fn index_roots(file: &Connection) -> rusqlite::Result<HashMap<String, String>> {
    file.prepare("SELECT rootpage, name FROM sqlite_schema WHERE type = 'index'")?
        .query_map([], |row| Ok((row.get::<_, i64>(0)?.to_string(), row.get(1)?)))?
        .collect()
}

fn about(line: &str, roots: &HashMap<String, String>) -> About {
    const BEFORE_A_NAME: [&str; 5] = [
        " missing from index ",
        " values differ from index ",
        "wrong # of entries in index ",
        "non-unique entry in index ",
        " of index ",
    ];
    if line.starts_with(STOPPED) {
        return About::Stopped;
    }
    if line.starts_with("Page ") && line.ends_with(": never used") {
        return About::Lost;
    }
    if let Some(rest) = line.strip_prefix("Tree ") {
        let index = rest.split(' ').next().and_then(|root| roots.get(root));
        return index.map_or(About::Other, |name| About::Pages(name.clone()));
    }
    let imprecise = line
        .strip_prefix("index ")
        .and_then(|rest| rest.split_once(" stores an imprecise"));
    let named = BEFORE_A_NAME.iter().find_map(|mark| line.split_once(mark));
    let name = imprecise.map(|(name, _)| name).or(named.map(|(_, name)| name));
    name.map_or(About::Other, |name| About::Entries(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_check_name_the_index() {
        let roots = HashMap::from([("5".to_owned(), "by b".to_owned())]);
        let entries = |name: &str| About::Entries(name.to_owned());
        let of = |line| about(line, &roots);
        assert_eq!(of("row 3 missing from index by b"), entries("by b"));
        assert_eq!(of("wrong # of entries in index x"), entries("x"));
        assert_eq!(of("non-unique entry in index x"), entries("x"));
        assert_eq!(of("row 3 values differ from index x"), entries("x"));
        assert_eq!(of("rowid not at end-of-record for row 3 of index x"), entries("x"));
        assert_eq!(
            of("index x stores an imprecise floating-point value for row 3"),
            entries("x")
        );
        let torn = About::Pages("by b".to_owned());
        assert_eq!(of("Tree 5 page 9 cell 1: Offset 3 out of range"), torn);
        assert_eq!(of("Tree 2 page 2: btreeInitPage() returns error code 11"), About::Other);
        assert_eq!(of("Page 7: never used"), About::Lost);
        assert_eq!(of("Freelist: size is 3 but should be 2"), About::Other);
        assert_eq!(of("NULL value in t.a"), About::Other);
        assert_eq!(of("the check could not go on: malformed"), About::Stopped);
    }
}
