//! What becomes of a key that no group has (floor 2): whether a wider template is there that it joins.
//!
//! What must stay true: it only reads, and asks the tables for what memory let go alone; the first in the order of the words
//! is joined, and of names of several words before words alone; what a hand has barred never is. Called by the engine, on about one event in twenty of a mixed stream.

use rusqlite::Connection;

use super::Engine;
use crate::events::group::subject::{Read, Subject};
use crate::events::group::template::{Candidate, Key, Rendered, Template};

/// Places that most messages have no more of.
const MOST_OFTEN: usize = 10;

/// What becomes of a key that no group has.
pub(super) enum Miss<'e> {
    /// It leads to this group from now on.
    Joins {
        key: Key,
        group: i64,
        /// The key of the template that it joins.
        wider: Key,
    },
    /// It begins a group.
    Begins(Box<Beginning<'e>>),
}

/// The event that a group begins with.
pub(super) struct Beginning<'e> {
    pub key: Key,
    pub read: Read<'e>,
    /// Its wider templates, of which none is there.
    pub candidates: Vec<Candidate>,
}

impl Engine {
    /// Whether the key joins a group; only reads.
    #[cold]
    pub(super) fn judge<'e>(&mut self, c: &Connection, key: Key, subject: &Subject<'e>) -> rusqlite::Result<Miss<'e>> {
        let read = subject.read(self.mode(subject.source)).by(self.rules);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.reserve(MOST_OFTEN);
        if let Read::Template { template, .. } = &read
            && let Some((wider, group)) = self.joined(c, template, &mut candidates)?
        {
            candidates.clear();
            self.candidates = candidates;
            return Ok(Miss::Joins { key, group, wider });
        }
        Ok(Miss::Begins(Box::new(Beginning { key, read, candidates })))
    }

    /// The key and the group of the first of the wider templates that is there, with one more mask or two; those with one that aren't
    /// there are handed out.
    fn joined(
        &mut self,
        c: &Connection,
        template: &Template<'_>,
        candidates: &mut Vec<Candidate>,
    ) -> rusqlite::Result<Option<(Key, i64)>> {
        let rendered = template.rendered(std::mem::take(&mut self.spare));
        let wider = self.wider(c, template, &rendered, candidates)?;
        let mut joined = wider.map(|(candidate, group)| (candidate.key, group));
        if joined.is_none() {
            joined = self.wider_by_two(c, template, &rendered, candidates)?;
        }
        self.spare = rendered.into_spare();
        match template.without_names() {
            Some(apart) if joined.is_none() => self.joined_by_words(c, &apart),
            _ => Ok(joined),
        }
    }

    /// The same for a wider template that has a value for one word of a name: older rules made such ones, and what joined
    /// them goes on to.
    fn joined_by_words(&mut self, c: &Connection, apart: &Template<'_>) -> rusqlite::Result<Option<(Key, i64)>> {
        let rendered = apart.rendered(std::mem::take(&mut self.spare));
        let mut dropped = Vec::new();
        let wider = self.wider(c, apart, &rendered, &mut dropped)?;
        let joined = wider.map(|(candidate, group)| (candidate.key, group));
        self.spare = rendered.into_spare();
        Ok(joined)
    }

    /// The group of the first template with two more masks that is there.
    fn wider_by_two(
        &mut self,
        c: &Connection,
        template: &Template<'_>,
        rendered: &Rendered<'_, '_>,
        candidates: &[Candidate],
    ) -> rusqlite::Result<Option<(Key, i64)>> {
        for pair in template.pairs(rendered, candidates) {
            if let Some(known) = self.memory.rare_key(c, pair.key)?
                && !known.barred
            {
                return Ok(Some((pair.key, known.group)));
            }
        }
        Ok(None)
    }

    /// The first of the wider templates that is there, and its group; those before it are handed out, without those that a
    /// hand has barred.
    pub(super) fn wider(
        &mut self,
        c: &Connection,
        template: &Template<'_>,
        rendered: &Rendered<'_, '_>,
        candidates: &mut Vec<Candidate>,
    ) -> rusqlite::Result<Option<(Candidate, i64)>> {
        for candidate in template.candidates(rendered) {
            match self.memory.rare_key(c, candidate.key)? {
                Some(known) if known.barred => {}
                Some(known) => return Ok(Some((candidate, known.group))),
                None => candidates.push(candidate),
            }
        }
        Ok(None)
    }
}
