//! A query plan, and what it says in words (floor 1, pure but for asking SQLite).
//!
//! What must stay true: a line of `EXPLAIN QUERY PLAN` that isn't known is passed on as it is; its form is not part of
//! SQLite's promises, so nothing but advice depends on it. See <https://sqlite.org/eqp.html>.

use rusqlite::Connection;

/// The plan's lines, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<String>);

/// How bad a plan is; less is better, compared in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Badness {
    /// Tables and indexes that are read whole, and indexes built for this one run.
    scans: usize,
    /// Sorts, and groups in temporary tables.
    sorts: usize,
    /// Conditions that no lookup uses: counted down from a number that no plan reaches.
    unused: usize,
}

const MANY: usize = 10_000;

impl Plan {
    /// Asks SQLite; runs nothing.
    ///
    /// # Errors
    /// SQLite's, when it can't prepare the statement.
    pub fn of(connection: &Connection, sql: &str) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let mut rows = statement.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push(row.get("detail")?);
        }
        Ok(Self(lines))
    }

    /// How bad it is.
    pub fn badness(&self) -> Badness {
        let count = |f: fn(&str) -> bool| self.0.iter().filter(|line| f(line)).count();
        let used: usize = self
            .0
            .iter()
            .filter_map(|line| conditions(line))
            .map(|c| c.split(" AND ").count())
            .sum();
        Badness {
            scans: count(|line| is_scan(line) || line.contains("AUTOMATIC")),
            sorts: count(|line| line.starts_with("USE TEMP B-TREE")),
            unused: MANY.saturating_sub(used),
        }
    }

    /// Whether a table of its own module (full-text search and the like) is in it: indexes are no help there.
    pub fn is_virtual(&self) -> bool {
        self.0.iter().any(|line| line.contains("VIRTUAL TABLE"))
    }

    /// Whether it uses the index of this name.
    pub fn uses(&self, index: &str) -> bool {
        let named = format!("INDEX {index}");
        self.0.iter().any(|line| {
            let after = line.find(&named).map(|at| &line[at + named.len()..]);
            after.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    }

    /// What it does, for people. `scanned`: rows that full scans passed over in a real run.
    pub fn words(&self, scanned: u64) -> String {
        let one_scan = self.0.iter().filter(|line| is_scan(line)).count() == 1;
        let rows = (one_scan && scanned > 0).then(|| format!(" (about {})", thousands(scanned + 1)));
        let steps: Vec<_> = self
            .0
            .iter()
            .filter_map(|line| step(line, rows.as_deref().unwrap_or("")))
            .collect();
        if steps.is_empty() {
            return "Reads no table.".to_owned();
        }
        let mut text = steps.join(", then ");
        text[..1].make_ascii_uppercase();
        text + "."
    }
}

fn is_scan(line: &str) -> bool {
    // A subquery in parentheses: what it reads has lines of its own.
    line.starts_with("SCAN ")
        && !line.starts_with("SCAN (")
        && !line.contains("CONSTANT ROW")
        && !line.contains("VIRTUAL TABLE")
}

/// What stands in the last parentheses of a lookup: `a=? AND b>?`.
fn conditions(line: &str) -> Option<&str> {
    let (_, inside) = line.strip_prefix("SEARCH ")?.split_once(" (")?;
    inside.split(')').next()
}

/// 1234567 as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One line in words; `None` for what only holds others together.
fn step(line: &str, rows: &str) -> Option<String> {
    let table = |rest: &str| rest.split(' ').next().unwrap_or("").to_owned();
    let index = |rest: &str| {
        let after = rest.split_once("INDEX ").map_or("", |(_, after)| after);
        table(after)
    };
    if let Some(rest) = line.strip_prefix("SCAN ") {
        let name = table(rest);
        return Some(match rest {
            _ if rest.contains("CONSTANT ROW") || name.starts_with('(') => return None,
            _ if rest.contains("VIRTUAL TABLE") => format!("asks the virtual table {name}"),
            _ if rest.contains("COVERING INDEX") => format!("reads the whole index {} of {name}{rows}", index(rest)),
            _ if rest.contains("USING INDEX") => {
                format!(
                    "reads every row of {name}{rows} in the order of the index {}",
                    index(rest)
                )
            }
            _ => format!("reads every row of {name}{rows}"),
        });
    }
    if let Some(rest) = line.strip_prefix("SEARCH ") {
        let name = table(rest);
        let by = conditions(line).unwrap_or("its order").replace(" AND ", " and ");
        return Some(match rest {
            _ if rest.contains("AUTOMATIC") => {
                format!("builds an index on {name} for this one run and finds rows in it by {by}")
            }
            _ if rest.contains("PRIMARY KEY") => format!("finds rows of {name} by its key ({by})"),
            _ => format!("finds rows of {name} by {by} in the index {}", index(rest)),
        });
    }
    if let Some(rest) = line.strip_prefix("USE TEMP B-TREE FOR ") {
        return Some(match rest {
            "GROUP BY" => "groups them in a temporary table".to_owned(),
            "DISTINCT" => "removes repetitions in a temporary table".to_owned(),
            "ORDER BY" => "sorts them".to_owned(),
            other if other.contains("ORDER BY") => "sorts them by the remaining terms".to_owned(),
            other => format!("keeps a temporary table for {other}"),
        });
    }
    let holds_others = [
        "CO-ROUTINE",
        "MATERIALIZE",
        "COMPOUND",
        "LEFT-MOST",
        "UNION ALL",
        "SETUP",
        "RECURSIVE",
        "MERGE",
        "LEFT",
        "RIGHT",
    ];
    let is_known = holds_others.iter().any(|word| line.starts_with(word)) || line.starts_with("INDEX ");
    (!is_known).then(|| match line {
        "MULTI-INDEX OR" => "looks up each side of an OR".to_owned(),
        _ if line.starts_with("CORRELATED") => "for each of these runs a subquery".to_owned(),
        _ if line.starts_with("SCALAR SUBQUERY") || line.starts_with("LIST SUBQUERY") => "runs a subquery".to_owned(),
        _ if line.starts_with("BLOOM FILTER") => "builds a filter for a join".to_owned(),
        other => other.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lines: &[&str]) -> Plan {
        Plan(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn plans_are_told_in_words() {
        for (lines, words) in [
            (
                &["SCAN documents", "USE TEMP B-TREE FOR ORDER BY"][..],
                "Reads every row of documents (about 120,000), then sorts them.",
            ),
            (
                &["SEARCH d USING PRIMARY KEY (collection_id=? AND id>?)"],
                "Finds rows of d by its key (collection_id=? and id>?).",
            ),
            (
                &["SEARCH e USING COVERING INDEX by_kind (type=?)"],
                "Finds rows of e by type=? in the index by_kind.",
            ),
            (&["SCAN CONSTANT ROW", "SCAN (subquery-1)"], "Reads no table."),
            (&["SOMETHING NEW"], "SOMETHING NEW."),
        ] {
            assert_eq!(plan(lines).words(119_999), words);
        }
    }

    #[test]
    fn fewer_scans_are_better_then_fewer_sorts_then_more_conditions() {
        let of = |lines: &[&str]| plan(lines).badness();
        let (scan, sort) = ("SCAN t", "USE TEMP B-TREE FOR ORDER BY");
        assert!(of(&["SEARCH t USING INDEX i (a=?)", sort]) < of(&[scan]));
        assert!(of(&[scan]) < of(&[scan, sort]));
        assert!(of(&["SEARCH t USING INDEX i (a=? AND b=?)"]) < of(&["SEARCH t USING INDEX i (a=?)"]));
        assert!(
            plan(&["SEARCH t USING INDEX i_2 (a=?)"]).uses("i_2")
                && !plan(&["SEARCH t USING INDEX i_2 (a=?)"]).uses("i")
        );
    }
}
