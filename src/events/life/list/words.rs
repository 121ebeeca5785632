//! The words that a group's title must have (floor 2), as the text index is asked for them.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use crate::events::query::{Sought, search};

/// Most groups whose words are read as a list; where more have them, each group is looked at by itself, and soon found.
const MOST_LISTED: usize = 20_000;

/// What is looked for, and what must not be there.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// A match for the text index, and whether groups that have it are wanted or left out.
    wanted: Option<(String, bool)>,
    /// All groups that have it, swallowed ones among them, unless they are too many.
    having: Option<HashSet<i64>>,
}

impl Words {
    /// Looks a search's text up.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn look_up(c: &Connection, text: &[Sought]) -> rusqlite::Result<Self> {
        let matches = |excluded: bool, joint: &str| {
            let parts: Vec<_> = text
                .iter()
                .filter(|sought| sought.is_excluded == excluded)
                .map(search::match_one)
                .collect();
            (!parts.is_empty()).then(|| parts.join(joint))
        };
        let wanted = match (matches(false, " AND "), matches(true, " OR ")) {
            (Some(wanted), Some(unwanted)) => (format!("({wanted}) NOT ({unwanted})"), true),
            (Some(wanted), None) => (wanted, true),
            (None, Some(unwanted)) => (unwanted, false),
            (None, None) => return Ok(Self::default()),
        };
        let most = i64::try_from(MOST_LISTED).unwrap_or(i64::MAX).saturating_add(1);
        let having: HashSet<i64> = c
            .prepare_cached("SELECT rowid FROM group_text WHERE group_text MATCH ?1 LIMIT ?2")?
            .query_map(params![wanted.0, most], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            wanted: Some(wanted),
            having: (having.len() <= MOST_LISTED).then_some(having),
        })
    }

    /// All groups that can be meant, when they are at most so many.
    pub fn few(&self, most: usize) -> Option<Vec<i64>> {
        let (_, true) = self.wanted.as_ref()? else { return None };
        let having = self.having.as_ref().filter(|having| having.len() <= most)?;
        Some(having.iter().copied().collect())
    }

    /// Whether each group has to be looked at by itself.
    pub fn are_common(&self) -> bool {
        self.wanted.is_some() && self.having.is_none()
    }

    /// Whether a group's title has all that is wanted and nothing of the rest.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn are_in(&self, c: &Connection, group: i64) -> rusqlite::Result<bool> {
        let Some((words, is_wanted)) = &self.wanted else {
            return Ok(true);
        };
        let has = match &self.having {
            Some(having) => having.contains(&group),
            None => c
                .prepare_cached("SELECT 1 FROM group_text WHERE group_text MATCH ?1 AND rowid = ?2")?
                .exists(params![words, group])?,
        };
        Ok(has == *is_wanted)
    }
}
