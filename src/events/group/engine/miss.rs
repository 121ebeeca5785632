//! What is written down of a key that no group has (floor 2): it joined, or a new group counts its words.
//!
//! What must stay true: of a key that joins nothing else is written, and nothing is counted; words are counted at every
//! place of a new message; whatever is united keeps the oldest id. Called by the engine alone, with what it judged.

use rusqlite::Connection;

use super::Engine;
use super::judge::{Beginning, Miss};
use crate::events::group::pieces::Piece;
use crate::events::group::subject::{Read, Subject};
use crate::events::group::tables::{self, How, NewGroup, NewKey, Variant};
use crate::events::group::template::{Candidate, Key, Spare, Template};
use crate::events::group::unions::{self, What};
use crate::events::group::words::Class;

/// Most words of one place that are kept; more change nothing.
const MOST_VARIANTS: usize = 16;
/// Distinct words at a place where one of them is a plain word.
const PLAIN_MOST: usize = 5;
/// Fewest and most distinct words that can be asked for instead: one is no variation, and more are not kept.
pub const THRESHOLDS: (usize, usize) = (2, MOST_VARIANTS);

impl Engine {
    /// Writes it down; the event's group.
    #[cold]
    pub(super) fn learn(&mut self, c: &Connection, miss: Miss<'_>, subject: &Subject<'_>) -> rusqlite::Result<i64> {
        let beginning = match miss {
            Miss::Joins { key, group, wider } if self.memory.may_join(c, group)? => {
                self.memory.touch(c)?;
                let made_for = tables::made_for(c, wider)?.unwrap_or(group);
                return self.lead(c, key, (group, made_for), How::Joined, None, subject);
            }
            Miss::Joins { group, .. } => return Ok(group),
            Miss::Begins(beginning) => *beginning,
        };
        self.memory.touch(c)?;
        let Beginning { key, read, candidates } = beginning;
        let mut group = self.create(c, key, subject, &read)?;
        if let Read::Template { template, .. } = &read {
            group = self.absorb(c, key, template, group, subject)?;
            group = self.count(c, template, &candidates, group, subject)?;
        }
        Ok(group)
    }

    fn create(&mut self, c: &Connection, key: Key, subject: &Subject<'_>, read: &Read<'_>) -> rusqlite::Result<i64> {
        let (title, template) = (read.title(subject), read.template(subject));
        let group = tables::add_group(
            c,
            &NewGroup {
                title: &title,
                template: &template,
                kind: subject.kind,
                source: subject.source,
                severity: subject.severity.number(),
                explanation: &read.explanation(subject, self.rules),
                seen_ms: subject.timestamp_ms,
                version: self.rules.number(),
            },
        )?;
        let shape = match read {
            Read::Template { template, .. } => Some(template.shape()),
            Read::Parts { .. } => None,
        };
        self.lead(c, key, (group, group), How::First, Some((&template, shape)), subject)
    }

    /// From now on the key leads to the group, and goes with the one that it was made for should they ever part.
    fn lead(
        &mut self,
        c: &Connection,
        key: Key,
        (group, made_for): (i64, i64),
        how: How,
        template: Option<(&str, Option<i64>)>,
        subject: &Subject<'_>,
    ) -> rusqlite::Result<i64> {
        self.memory.add_key(key, group);
        tables::add_key(
            c,
            &NewKey {
                key,
                group: made_for,
                how,
                at: subject.received_ms,
                template: template.map(|(shown, _)| shown),
                shape: template.and_then(|(_, shape)| shape),
            },
        )?;
        Ok(group)
    }

    /// A message with a value where words were seen before: these are values too.
    fn absorb(
        &mut self,
        c: &Connection,
        key: Key,
        template: &Template<'_>,
        group: i64,
        subject: &Subject<'_>,
    ) -> rusqlite::Result<i64> {
        if !template.pieces().iter().any(Piece::is_mask) {
            return Ok(group);
        }
        let seen = self.memory.variants(c, key)?.clone();
        if seen.is_empty() {
            return Ok(group);
        }
        Ok(self.unite(c, What::Absorbed, key, template, group, &seen, subject)?.0)
    }

    /// Counts the message's words at their places, and unites what has had enough of them at one.
    fn count(
        &mut self,
        c: &Connection,
        template: &Template<'_>,
        candidates: &[Candidate],
        group: i64,
        subject: &Subject<'_>,
    ) -> rusqlite::Result<i64> {
        let threshold = self.threshold;
        for candidate in candidates {
            let new = Variant {
                word: template.variant(&candidate.places),
                group,
                class: tables::class_number(candidate.class),
            };
            let seen = self.memory.variants(c, candidate.key)?;
            if seen.len() >= MOST_VARIANTS || seen.iter().any(|one| one.word == new.word) {
                continue;
            }
            seen.push(new);
            let enough = candidate
                .most
                .is_some_and(|most| distinct(seen) >= threshold.unwrap_or_else(|| most.max(strictest(seen, most))));
            if !enough {
                self.memory.add_hole(candidate.key);
                tables::add_variant(c, candidate.key, new)?;
                continue;
            }
            let seen = seen.clone();
            return self.widen(
                c,
                &template.masked(candidate.places.all()),
                candidate.key,
                group,
                &seen,
                subject,
            );
        }
        Ok(group)
    }

    /// The wider template becomes a key of the united group, and is itself looked at like a message.
    fn widen(
        &mut self,
        c: &Connection,
        wider: &Template<'_>,
        key: Key,
        group: i64,
        seen: &[Variant],
        subject: &Subject<'_>,
    ) -> rusqlite::Result<i64> {
        let (mut group, made_for) = self.unite(c, What::Widened, key, wider, group, seen, subject)?;
        self.lead(
            c,
            key,
            (group, made_for),
            How::Widened,
            Some((&wider.shown(), Some(wider.shape()))),
            subject,
        )?;
        group = self.gather(c, key, wider, group, subject)?;
        let mut candidates = Vec::new();
        if let Some((candidate, joined)) = self.wider(c, wider, &wider.rendered(Spare::default()), &mut candidates)? {
            let joined = [Variant {
                word: 0,
                group: joined,
                class: 0,
            }];
            let widest = wider.masked(candidate.places.all());
            let united = self.unite(c, What::Absorbed, candidate.key, &widest, group, &joined, subject)?;
            return Ok(united.0);
        }
        self.count(c, wider, &candidates, group, subject)
    }

    /// A template with several masks takes in what came before it with words at more than one of them.
    fn gather(
        &mut self,
        c: &Connection,
        key: Key,
        wider: &Template<'_>,
        group: i64,
        subject: &Subject<'_>,
    ) -> rusqlite::Result<i64> {
        if !wider.is_wide() {
            return Ok(group);
        }
        let mut found = Vec::new();
        for (group, shown) in tables::of_shape(c, wider.shape())? {
            if wider.covers(&shown) {
                found.push(Variant {
                    word: 0,
                    group,
                    class: 0,
                });
            }
        }
        Ok(self.unite(c, What::Absorbed, key, wider, group, &found, subject)?.0)
    }

    /// The group that is left, and the oldest of those that were meant.
    fn unite(
        &mut self,
        c: &Connection,
        what: What,
        key: Key,
        template: &Template<'_>,
        group: i64,
        seen: &[Variant],
        subject: &Subject<'_>,
    ) -> rusqlite::Result<(i64, i64)> {
        tables::forget_variants(c, key)?;
        self.memory.forget_hole(key);
        let groups: Vec<i64> = seen.iter().map(|one| one.group).collect();
        let record = unions::Record {
            what,
            at: subject.received_ms,
            key: Some(key),
            template: Some(template.shown()),
            actor: None,
        };
        let united = unions::unite(c, group, &groups, &record)?;
        for (from, into) in &united.moved {
            self.memory.swallowed(*from, *into);
        }
        let title = subject.title_of(template);
        tables::rename(c, united.root, &title, &template.shown())?;
        Ok((united.root, united.oldest_meant))
    }
}

/// How many of them count as another: of names that a sentence begins with, those with another first word.
fn distinct(seen: &[Variant]) -> usize {
    let counts = |(at, one): &(usize, &Variant)| seen[..*at].iter().all(|before| before.word >> 32 != one.word >> 32);
    seen.iter().enumerate().filter(counts).count()
}

/// Words of several classes at one place: as many are needed as the most careful of them asks for.
fn strictest(seen: &[Variant], most: usize) -> usize {
    let plain = seen.iter().any(|one| one.class == tables::class_number(Class::Plain));
    if plain { most.max(PLAIN_MOST) } else { most }
}
