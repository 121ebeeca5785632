//! The words that a group's title must have (floor 2), as the text index is asked for them.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use crate::events::query::{Sought, search};

/// What is looked for, and what must not be there.
#[derive(Debug, Clone, Default)]
pub struct Words {
    wanted: Option<String>,
    unwanted: Option<String>,
    /// All groups that have the words, swallowed ones among them, when they are few.
    few: Option<HashSet<i64>>,
}

impl Words {
    /// Looks a search's text up; groups with its words are few when there are at most so many.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn look_up(c: &Connection, text: &[Sought], most_few: usize) -> rusqlite::Result<Self> {
        let matches = |excluded: bool, joint: &str| {
            let parts: Vec<_> = text
                .iter()
                .filter(|sought| sought.is_excluded == excluded)
                .map(search::match_one)
                .collect();
            (!parts.is_empty()).then(|| parts.join(joint))
        };
        let mut words = Self {
            wanted: matches(false, " AND "),
            unwanted: matches(true, " OR "),
            few: None,
        };
        if let (Some(wanted), Some(unwanted)) = (&words.wanted, &words.unwanted) {
            words.wanted = Some(format!("({wanted}) NOT ({unwanted})"));
            words.unwanted = None;
        }
        let Some(wanted) = &words.wanted else {
            return Ok(words);
        };
        let most = i64::try_from(most_few).unwrap_or(i64::MAX).saturating_add(1);
        let found: HashSet<i64> = c
            .prepare_cached("SELECT rowid FROM group_text WHERE group_text MATCH ?1 LIMIT ?2")?
            .query_map(params![wanted, most], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        words.few = (found.len() <= most_few).then_some(found);
        Ok(words)
    }

    /// All groups that have the words, when they are few.
    pub fn few(&self) -> Option<Vec<i64>> {
        self.few.as_ref().map(|few| few.iter().copied().collect())
    }

    /// Whether a group's title has all that is wanted and nothing of the rest.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn are_in(&self, c: &Connection, group: i64) -> rusqlite::Result<bool> {
        if let Some(few) = &self.few {
            return Ok(few.contains(&group));
        }
        let has = |text: &String| {
            c.prepare_cached("SELECT 1 FROM group_text WHERE group_text MATCH ?1 AND rowid = ?2")?
                .exists(params![text, group])
        };
        Ok(self.wanted.as_ref().map_or(Ok(true), has)? && !self.unwanted.as_ref().map_or(Ok(false), has)?)
    }
}
