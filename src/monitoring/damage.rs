//! Damage in words (floor 3): what was found in a file, where the evidence is, and what an operator can do.
//!
//! What must stay true: it says only what was found; a folder is named relative to the data folder. Called by health.

use std::path::Path;

use serde_json::{Value, json};

use crate::clock::rfc3339_ms;
use crate::db::DamageReport;

/// Findings that are quoted; the evidence has all of them.
const QUOTED: usize = 3;

/// Whether there is anything among the backups.
pub(super) fn has_backups(data_dir: &Path) -> bool {
    std::fs::read_dir(data_dir.join("backups"))
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name() != ".gitkeep"))
}

/// What was found, where the evidence is, what to do: one sentence each.
pub(super) fn in_words(database: &str, damage: &DamageReport, backups: bool) -> Vec<String> {
    let quoted = damage
        .findings
        .iter()
        .take(QUOTED)
        .map(String::as_str)
        .collect::<Vec<_>>();
    let more = match damage.findings.len().saturating_sub(QUOTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let found = format!("{database}: the check of the file found: {}{more}", quoted.join("; "));
    let evidence = match &damage.evidence {
        Ok(folder) => format!("{database}: a copy of the file as it was found is in evidence/{folder}"),
        Err(why) => format!("{database}: there is no copy of the file as it was found: {why}"),
    };
    vec![
        found,
        evidence,
        format!("{database}: {}", advice(database, damage, backups)),
    ]
}

fn advice(database: &str, damage: &DamageReport, backups: bool) -> String {
    if !damage.indexes.is_empty() {
        let indexes = match &*damage.indexes {
            [one] => format!("only the index {one} is wrong"),
            many => format!("only the indexes {} are wrong", many.join(", ")),
        };
        return format!(
            "{indexes}, every table could be read whole: POST /api/monitoring/databases/{database}/reindex makes them anew"
        );
    }
    let what = match &*damage.tables {
        [] => String::new(),
        [one] => format!("the table {one} is damaged; "),
        many => format!("the tables {} are damaged; ", many.join(", ")),
    };
    let from = if backups {
        "the newest backup in backups/"
    } else {
        "a backup"
    };
    format!(
        "{what}service resumes by itself when the file passes its check; otherwise stop, put {from} in its place, remove its -wal and -shm, and start"
    )
}

/// The same for programs.
pub(super) fn view(damage: &DamageReport) -> Value {
    json!({
        "foundAt": rfc3339_ms(damage.found_at),
        "cause": damage.cause,
        "findings": damage.findings,
        "tables": damage.tables,
        "indexes": damage.indexes,
        "evidence": damage.evidence.as_ref().ok().map(|folder| format!("evidence/{folder}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damage(tables: &[&str], indexes: &[&str]) -> DamageReport {
        DamageReport {
            found_at: jiff::Timestamp::UNIX_EPOCH,
            cause: "SQLite CORRUPT_INDEX (779)".to_owned(),
            findings: (1..=5).map(|row| format!("row {row} missing from index b")).collect(),
            tables: tables.iter().map(|name| (*name).to_owned()).collect(),
            indexes: indexes.iter().map(|name| (*name).to_owned()).collect(),
            evidence: Ok("20260101T000000Z-app".to_owned()),
        }
    }

    #[test]
    fn a_wrong_index_is_offered_its_reindex_and_other_damage_a_backup() {
        let words = in_words("app", &damage(&[], &["b"]), false).join("\n");
        assert!(
            words.contains("and 2 more") && words.contains("evidence/20260101T000000Z-app"),
            "{words}"
        );
        assert!(words.contains("POST /api/monitoring/databases/app/reindex"), "{words}");
        let words = in_words("app", &damage(&["t"], &[]), true).join("\n");
        assert!(
            words.contains("the table t is damaged")
                && words.contains("the newest backup in backups/")
                && !words.contains("reindex"),
            "{words}"
        );
    }
}
