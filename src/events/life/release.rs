//! Which of two releases is the later one (floor 2).
//!
//! What must stay true: versions of one name are compared as Semantic Versioning 2.0 says (section 11; build metadata says
//! nothing), with `v1.2` taken for `1.2.0`, and `name@version` as Sentry's SDKs send it; everything else by the order in
//! which the source's releases first appeared, one that never appeared being later than all.

use std::cmp::Ordering;

use rusqlite::{Connection, OptionalExtension};

/// Most parts of a version's core: `1.2.3.4` is seen in the wild.
const MOST_PARTS: usize = 4;
/// Most releases of a source whose order is remembered.
const MOST_REMEMBERED: i64 = 10_000;
/// Among so many of the last that appeared the present one is looked for.
const MOST_CURRENT: i64 = 100;

/// A version in the order of releases.
#[derive(Debug, PartialEq, Eq)]
struct Version<'t> {
    name: Option<&'t str>,
    core: [u64; MOST_PARTS],
    pre: Option<&'t str>,
}

impl<'t> Version<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (name, version) = match text.rsplit_once('@') {
            Some((name, version)) => (Some(name), version),
            None => (None, text),
        };
        let version = version.strip_prefix('v').unwrap_or(version);
        let version = version.split_once('+').map_or(version, |(version, _build)| version);
        let (numbers, pre) = match version.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (version, None),
        };
        let mut core = [0; MOST_PARTS];
        // A single number, a build's or a date, is in the order of versions too.
        for (at, part) in numbers.split('.').enumerate() {
            let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *core.get_mut(at).filter(|_| is_number)? = part.parse().ok()?;
        }
        let pre_is_sound = pre.is_none_or(|pre| pre.split('.').all(|part| !part.is_empty()));
        pre_is_sound.then_some(Self { name, core, pre })
    }

    /// `None` for versions of different things.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        let pre = match (self.pre, other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(own), Some(others)) => compare_pre(own, others),
        };
        (self.name == other.name).then(|| self.core.cmp(&other.core).then(pre))
    }
}

/// Numbers by their size and below words, words by their bytes; where one list begins like the other, the longer is later.
fn compare_pre(one: &str, other: &str) -> Ordering {
    let number = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.trim_start_matches('0').to_owned())
    };
    let mut others = other.split('.');
    for own in one.split('.') {
        let Some(theirs) = others.next() else {
            return Ordering::Greater;
        };
        let order = match (number(own), number(theirs)) {
            (Some(own), Some(theirs)) => own.len().cmp(&theirs.len()).then_with(|| own.cmp(&theirs)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => own.cmp(theirs),
        };
        if order.is_ne() {
            return order;
        }
    }
    if others.next().is_some() {
        Ordering::Less
    } else {
        Ordering::Equal
    }
}

/// How a release stands to another one of the same source.
///
/// # Errors
/// Those of SQLite.
pub fn compare(c: &Connection, source: &str, release: &str, other: &str) -> rusqlite::Result<Ordering> {
    if release == other {
        return Ok(Ordering::Equal);
    }
    let versions = Version::parse(release).zip(Version::parse(other));
    if let Some(order) = versions.and_then(|(one, other)| one.compare(&other)) {
        return Ok(order);
    }
    let place = |release: &str| {
        c.prepare_cached("SELECT id FROM releases WHERE source = ?1 AND release = ?2")?
            .query_row([source, release], |row| row.get::<_, i64>(0))
            .optional()
    };
    let (one, other) = (place(release)?, place(other)?);
    Ok(one.unwrap_or(i64::MAX).cmp(&other.unwrap_or(i64::MAX)))
}

/// Remembers that a release of a source appeared.
///
/// # Errors
/// Those of SQLite.
pub fn note(c: &Connection, source: &str, release: &str) -> rusqlite::Result<()> {
    let known = c
        .prepare_cached("SELECT 1 FROM releases WHERE source = ?1 AND release = ?2")?
        .exists([source, release])?;
    if known {
        return Ok(());
    }
    c.prepare_cached("INSERT INTO releases (source, release) VALUES (?1, ?2)")?
        .execute([source, release])?;
    c.prepare_cached(
        "DELETE FROM releases WHERE source = ?1 AND id <=
           (SELECT id FROM releases WHERE source = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
         AND release NOT IN (SELECT release FROM group_life WHERE release IS NOT NULL)",
    )?
    .execute((source, MOST_REMEMBERED))?;
    Ok(())
}

/// The latest release of a source; `None` when it never named one.
///
/// # Errors
/// Those of SQLite.
pub fn current(c: &Connection, source: &str) -> rusqlite::Result<Option<String>> {
    let appeared: Vec<String> = c
        .prepare_cached("SELECT release FROM releases WHERE source = ?1 ORDER BY id DESC LIMIT ?2")?
        .query_map((source, MOST_CURRENT), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut latest: Option<String> = None;
    for release in appeared {
        let is_later = match &latest {
            Some(latest) => compare(c, source, &release, latest)?.is_gt(),
            None => true,
        };
        if is_later {
            latest = Some(release);
        }
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::schema;

    #[test]
    fn versions_are_in_the_order_of_semantic_versioning() {
        let c = schema::connection();
        let ascending = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "v1.0.1",
            "1.2",
            "1.2.0.1",
            "1.10.0+build.7",
            "2",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(
                    compare(&c, "", one, other).unwrap(),
                    at.cmp(&other_at),
                    "{one} and {other}"
                );
                let (one, other) = (format!("shop@{one}"), format!("shop@{other}"));
                assert_eq!(compare(&c, "", &one, &other).unwrap(), at.cmp(&other_at));
            }
        }
        assert_eq!(compare(&c, "", "1.2.0+a", "1.2.0+b").unwrap(), Ordering::Equal);
    }

    #[test]
    fn other_names_are_in_the_order_of_their_appearance() {
        let c = schema::connection();
        for release in ["ffe1", "0a3c", "blue@1.0.0", "red@0.1.0"] {
            note(&c, "shop", release).unwrap();
            note(&c, "shop", release).unwrap();
        }
        let order = |one: &str, other: &str| compare(&c, "shop", one, other).unwrap();
        assert_eq!(order("0a3c", "ffe1"), Ordering::Greater);
        assert_eq!(
            order("blue@1.0.0", "red@0.1.0"),
            Ordering::Less,
            "versions of different things"
        );
        assert_eq!(order("ffe1", "unseen"), Ordering::Less);
        assert_eq!(order("unseen", "unseen"), Ordering::Equal);
        assert_eq!(
            compare(&c, "other", "0a3c", "ffe1").unwrap(),
            Ordering::Equal,
            "neither has appeared there"
        );
        assert_eq!(current(&c, "shop").unwrap().as_deref(), Some("red@0.1.0"));
        assert_eq!(current(&c, "nowhere").unwrap(), None);
    }

    #[test]
    fn a_late_fix_of_an_old_version_is_not_the_present_one() {
        let c = schema::connection();
        for release in ["1.0.0", "2.0.0", "1.0.1"] {
            note(&c, "", release).unwrap();
        }
        assert_eq!(current(&c, "").unwrap().as_deref(), Some("2.0.0"));
    }

    #[test]
    fn what_is_no_version_is_not_taken_for_one() {
        for text in [
            "",
            "abc",
            "1..2",
            "1.2.3.4.5",
            "1.x",
            "-1",
            "1.0-",
            "1.0.0-a..b",
            "99999999999999999999999",
        ] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}
