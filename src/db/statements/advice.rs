//! What to do about a slow statement (floor 1): an index, proposed only after SQLite has planned the statement with it.
//!
//! What must stay true: candidates are tried on an empty copy of the schema and nowhere else; one is proposed only when the
//! plan with it uses it and scans less, sorts less, or looks up by more conditions; when none does, that is said. Columns
//! are ordered as a b-tree wants them: equality first, then the order or the range.

use rusqlite::Connection;

use super::plan::{Badness, Plan};
use super::schema::{Schema, columns};
use super::terms::{Place, Taken, Term, tables, terms};
use super::tokens::tokens;

/// Most columns of a proposed index: each one more is written with every row.
const MOST_COLUMNS: usize = 4;
/// Most candidates that are tried.
const MOST_CANDIDATES: usize = 48;

/// What is known of a slow statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Its plan in words.
    pub words: String,
    /// `CREATE INDEX …` that was found to help; never run by this program.
    pub index: Option<String>,
    /// What the index changes, or why there is none.
    pub reason: String,
}

/// One index that might help.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    table: String,
    terms: Vec<Term>,
}

/// Looks for an index. `scanned`: rows that full scans passed over in a real run.
///
/// # Errors
/// SQLite's, when the copy can't be made.
pub fn advise(schema: &Schema, sql: &str, plan: &Plan, scanned: u64) -> rusqlite::Result<Advice> {
    let told = |index: Option<String>, reason: &str| {
        Ok(Advice {
            words: plan.words(scanned),
            index,
            reason: reason.to_owned(),
        })
    };
    if plan.is_virtual() {
        return told(None, "It reads a virtual table, which an index can't help.");
    }
    let copy = schema.copy()?;
    let Ok(before) = Plan::of(&copy, sql) else {
        return told(
            None,
            "It can't be planned on an empty copy of the schema, so no index was tried.",
        );
    };
    let mut best: Option<(Badness, usize, String)> = None;
    for candidate in candidates(&copy, sql)?.into_iter().take(MOST_CANDIDATES) {
        let Some((badness, create)) = candidate.tried(&copy, sql)? else {
            continue;
        };
        let rank = (badness, candidate.terms.len());
        if badness < before.badness() && best.as_ref().is_none_or(|(b, length, _)| rank < (*b, *length)) {
            best = Some((badness, candidate.terms.len(), create));
        }
    }
    match best {
        Some((_, _, create)) => {
            copy.execute_batch(&create)?;
            let after = Plan::of(&copy, sql)?.words(0);
            told(Some(create), &format!("With this index the plan is: {after}"))
        }
        None => told(None, "No index was found that would improve this plan."),
    }
}

/// What might help, by table.
fn candidates(copy: &Connection, sql: &str) -> rusqlite::Result<Vec<Candidate>> {
    let tokens = tokens(sql);
    let terms = terms(&tokens);
    let mut found: Vec<Candidate> = Vec::new();
    for (table, alias) in tables(&tokens) {
        let known = columns(copy, &table)?;
        let is_here = |term: &&Term| {
            let named = term.of.as_ref().is_none_or(|of| of.eq_ignore_ascii_case(&alias));
            named && known.iter().any(|column| column.eq_ignore_ascii_case(&term.column))
        };
        let here: Vec<_> = terms.iter().filter(is_here).cloned().collect();
        let of = |place| {
            here.iter()
                .filter(|term| term.place == place)
                .cloned()
                .collect::<Vec<_>>()
        };
        for mut columns in orders(&of(Place::Equal), &of(Place::Range), &of(Place::Order)) {
            columns.truncate(MOST_COLUMNS);
            let candidate = Candidate {
                table: table.clone(),
                terms: columns,
            };
            if !candidate.terms.is_empty() && !found.contains(&candidate) {
                found.push(candidate);
            }
        }
    }
    Ok(found)
}

/// Orders of columns worth trying.
fn orders(equal: &[Term], range: &[Term], order: &[Term]) -> Vec<Vec<Term>> {
    let mut found = Vec::new();
    // Equality on all, on each pair with what identifies a row first, and on each alone.
    let mut equals = vec![equal.to_vec()];
    for (index, first) in equal.iter().enumerate() {
        equals.extend(
            equal
                .iter()
                .skip(index + 1)
                .map(|second| vec![first.clone(), second.clone()]),
        );
        equals.push(vec![first.clone()]);
    }
    equals.push(Vec::new());
    for equal in equals {
        found.push([&equal[..], order].concat());
        found.extend(
            order
                .first()
                .map(|first| [&equal[..], std::slice::from_ref(first)].concat()),
        );
        found.extend(
            range
                .iter()
                .map(|range| [&equal[..], std::slice::from_ref(range)].concat()),
        );
        found.push(equal);
    }
    for columns in &mut found {
        let mut seen: Vec<(String, Option<(Taken, String)>)> = Vec::new();
        columns.retain(|term| {
            let key = (term.column.to_ascii_lowercase(), term.path.clone());
            let is_new = !seen.contains(&key);
            seen.push(key);
            is_new
        });
    }
    found
}

impl Candidate {
    /// How bad the plan is with it, and its SQL; `None` when it can't be made or isn't used. It is gone again afterwards.
    fn tried(&self, copy: &Connection, sql: &str) -> rusqlite::Result<Option<(Badness, String)>> {
        let (name, create) = self.sql(copy)?;
        if copy.execute_batch(&create).is_err() {
            return Ok(None);
        }
        let plan = Plan::of(copy, sql);
        copy.execute_batch(&format!("DROP INDEX {name}"))?;
        Ok(plan
            .ok()
            .filter(|plan| plan.uses(&name))
            .map(|plan| (plan.badness(), create)))
    }

    fn sql(&self, copy: &Connection) -> rusqlite::Result<(String, String)> {
        let plain = |text: &str| {
            let kept = |c: char| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    ' '
                }
            };
            text.chars()
                .map(kept)
                .collect::<String>()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join("_")
        };
        let parts = self
            .terms
            .iter()
            .map(|term| term.path.as_ref().map_or(&term.column, |(_, path)| path));
        let mut base = format!("by_{}", plain(&self.table));
        parts.for_each(|part| base = format!("{base}_{}", plain(part)));
        let taken = |name: &str| {
            copy.prepare_cached("SELECT count(*) FROM sqlite_schema WHERE name = ?1")?
                .query_row([name], |row| row.get::<_, i64>(0))
        };
        let mut name = base.clone();
        let mut number = 1;
        while taken(&name)? > 0 {
            number += 1;
            name = format!("{base}_{number}");
        }
        let columns: Vec<_> = self.terms.iter().map(Term::sql).collect();
        let create = format!(
            "CREATE INDEX {name} ON {} ({})",
            quoted(&self.table),
            columns.join(", ")
        );
        Ok((name, create))
    }
}

impl Term {
    /// As a column of an index.
    fn sql(&self) -> String {
        let column = quoted(&self.column);
        let expression = match &self.path {
            None => column,
            Some((Taken::Extract, path)) => format!("json_extract({column}, {path})"),
            Some((Taken::Arrow, path)) => format!("({column} -> {path})"),
            Some((Taken::LongArrow, path)) => format!("({column} ->> {path})"),
        };
        if self.descending {
            expression + " DESC"
        } else {
            expression
        }
    }
}

/// A name as SQL: in quotes unless it is plain.
fn quoted(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && ![
            "group", "order", "index", "table", "select", "where", "from", "values", "set", "check", "default",
        ]
        .contains(&name);
    if is_plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests;
