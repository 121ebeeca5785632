//! What a removal is bound to before it begins (floor 2): what its filter means at one moment, and the text that says so.
//!
//! What must stay true: what a preview counted is all that its confirmation removes. A filter on groups or on their status
//! means other events as soon as groups are united, parted, resolved, or a mute ends; so the groups are listed once, and
//! what runs keeps to that list and to what was stored by then. A confirmation is refused when the list would be another.
//! The text is good for its filter alone, and for an hour.

use std::fmt;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::Asked;
use crate::events::group;
use crate::events::query::{self, Filter};

/// For so long a preview can be confirmed, in milliseconds.
const CONFIRMABLE_MS: i64 = 3_600_000;
/// Bytes of each digest in the text.
const DIGEST: usize = 6;

/// How far a preview saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What was received later is not of it, milliseconds since the epoch.
    pub bound_ms: i64,
    /// Nor what was stored after this number.
    pub stored: i64,
    /// Nor groups with larger numbers.
    pub group: i64,
}

/// The text with which a preview is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    seen: Seen,
    filter: String,
    groups: String,
}

impl Token {
    /// Of a preview of this filter, which meant these groups; `None` when it asks nothing of groups. `parted` is the number
    /// of the newest change by which events went to other groups.
    pub fn of(filter: &Filter, seen: Seen, groups: Option<&[i64]>, parted: i64) -> Self {
        // A filter and a list are made of texts and numbers, which always serialise.
        let asked = serde_json::to_vec(&(seen.bound_ms, filter)).unwrap_or_default();
        let meant = groups.map(|groups| (groups, parted));
        Self {
            seen,
            filter: digest(&asked),
            groups: digest(&serde_json::to_vec(&meant).unwrap_or_default()),
        }
    }

    /// What a text says; `None` for what is no token, or one that is too old.
    pub fn parse(text: &str, now_ms: i64) -> Option<Self> {
        let number = |from: usize| i64::from_str_radix(text.get(from..from + 16)?, 16).ok();
        let part = |from: usize| text.get(from..from + 2 * DIGEST).map(str::to_owned);
        let token = Self {
            seen: Seen {
                bound_ms: number(0)?,
                stored: number(16)?,
                group: number(32)?,
            },
            filter: part(48)?,
            groups: part(48 + 2 * DIGEST)?,
        };
        let is_fresh = (now_ms.saturating_sub(CONFIRMABLE_MS)..=now_ms).contains(&token.seen.bound_ms);
        (is_fresh && token.to_string() == text).then_some(token)
    }

    /// Whether it is of a preview of this filter.
    pub fn is_of(&self, filter: &Filter) -> bool {
        self.filter == Self::of(filter, self.seen, None, 0).filter
    }

    /// How far its preview saw.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// The moment up to which its preview counted.
    pub fn bound_ms(&self) -> i64 {
        self.seen.bound_ms
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen {
            bound_ms,
            stored,
            group,
        } = self.seen;
        write!(
            f,
            "{bound_ms:016x}{stored:016x}{group:016x}{}{}",
            self.filter, self.groups
        )
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..DIGEST].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a filter means, fixed.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The same with the groups that it means in place of what it asks of groups, up to what is stored.
    pub filter: Filter,
    /// What confirms a preview of it.
    pub token: Token,
}

/// Fixes what a filter means at this moment, milliseconds since the epoch, up to what is stored by now or what a preview
/// saw.
///
/// # Errors
/// Those of SQLite.
pub fn fixed(c: &Connection, filter: &Filter, now_ms: i64, bound: Result<Seen, i64>) -> rusqlite::Result<Fixed> {
    let seen = match bound {
        Ok(seen) => seen,
        Err(bound_ms) => Seen {
            bound_ms,
            stored: c.query_row("SELECT last FROM event_sequence", [], |row| row.get(0))?,
            group: c.query_row("SELECT coalesce(max(id), 0) FROM groups", [], |row| row.get(0))?,
        },
    };
    let groups = query::groups_meant(c, filter, seen.group, now_ms)?;
    let token = Token::of(filter, seen, groups.as_deref(), group::newest_parting(c)?);
    let mut fixed = Filter {
        stored_until: Some(seen.stored),
        ..filter.clone()
    };
    if groups.is_some() {
        // Named as well, an index leads to them.
        let is_named = !filter.groups.is_empty();
        fixed.groups = groups.clone().filter(|_| is_named).unwrap_or_default();
        (fixed.also_groups, fixed.statuses, fixed.only) = (Vec::new(), Vec::new(), groups);
    }
    Ok(Fixed { filter: fixed, token })
}

/// The same removal with what its filter means now, and for one that confirms a preview up to what that saw; `None` when
/// that saw other groups. What the token began already is left as it is: events that left may have taken groups with them.
pub(super) fn to_run(c: &Connection, asked: &Asked) -> rusqlite::Result<Option<Asked>> {
    let mut known = c.prepare_cached("SELECT 1 FROM purges WHERE token = ?1")?;
    if asked.token.is_some() && known.exists([&asked.token])? {
        return Ok(Some(asked.clone()));
    }
    let token = asked.token.as_ref().and_then(|text| Token::parse(text, asked.now_ms));
    let bound = token.as_ref().map_or(Err(asked.bound_ms), |token| Ok(token.seen()));
    let fixed = fixed(c, &asked.filter, asked.now_ms, bound)?;
    if asked.token.is_some() && token.as_ref() != Some(&fixed.token) {
        return Ok(None);
    }
    let mut filter = fixed.filter;
    // Without a preview what the spool still holds of it goes, too.
    filter.stored_until = filter.stored_until.filter(|_| token.is_some());
    Ok(Some(Asked {
        filter,
        ..asked.clone()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::life::Status;
    use crate::events::query::GroupStatus;
    use crate::events::schema;

    const NOW: i64 = 1_750_000_000_000;

    fn log(statuses: &[Status]) -> Connection {
        let c = schema::connection();
        for status in statuses {
            c.execute(
                "INSERT INTO groups (title, template, type, severity, explanation, first_seen, last_seen, status)
                 VALUES ('t', 't', 0, 0, '{}', 0, 0, ?1)",
                [*status as i64],
            )
            .expect("a group");
        }
        c
    }

    fn of(c: &Connection, filter: &Filter, now_ms: i64, bound: Result<Seen, i64>) -> Fixed {
        fixed(c, filter, now_ms, bound).expect("read")
    }

    #[test]
    fn a_token_comes_back_as_it_was_for_an_hour() {
        let c = log(&[]);
        let token = of(&c, &Filter::default(), NOW, Err(NOW)).token;
        let text = token.to_string();
        assert_eq!(Token::parse(&text, NOW + CONFIRMABLE_MS), Some(token));
        for wrong in ["", "0", &text[1..], &text.to_uppercase(), &format!("{text}0")] {
            assert_eq!(Token::parse(wrong, NOW), None, "{wrong}");
        }
        assert_eq!(Token::parse(&text, NOW + CONFIRMABLE_MS + 1), None);
        assert_eq!(Token::parse(&text, NOW - 1), None);
    }

    #[test]
    fn a_status_means_the_groups_that_had_it_when_it_was_previewed() {
        let c = log(&[Status::Resolved, Status::Unresolved, Status::Muted]);
        let filter = Filter {
            statuses: vec![GroupStatus::Unresolved],
            ..Filter::default()
        };
        c.execute("UPDATE groups SET muted_until = ?1 WHERE id = 3", [NOW + 10])
            .expect("muted");
        let preview = of(&c, &filter, NOW, Err(NOW));
        assert_eq!(preview.filter.only, Some(vec![2]));
        assert!(preview.filter.statuses.is_empty() && preview.token.is_of(&filter));
        let again = |now_ms| of(&c, &filter, now_ms, Ok(preview.token.seen));
        assert_eq!(again(NOW + 9).token, preview.token);
        c.execute_batch(
            "INSERT INTO groups (title, template, type, severity, explanation, first_seen, last_seen)
                         VALUES ('new', 'new', 0, 0, '{}', 0, 0)",
        )
        .expect("a group");
        assert_eq!(
            again(NOW + 9).token,
            preview.token,
            "a group that is new has nothing of it"
        );
        assert_ne!(again(NOW + 10).token, preview.token, "a mute is over");
        c.execute_batch("UPDATE groups SET status = 0 WHERE id = 1")
            .expect("reopened");
        assert_eq!(again(NOW).filter.only, Some(vec![1, 2]));
        assert_ne!(again(NOW).token, preview.token);
    }

    #[test]
    fn groups_that_are_united_meanwhile_are_another_list() {
        let c = log(&[Status::Unresolved, Status::Unresolved]);
        let filter = Filter {
            groups: vec![1],
            ..Filter::default()
        };
        let preview = of(&c, &filter, NOW, Err(NOW));
        assert_eq!(
            (&preview.filter.groups, &preview.filter.only),
            (&vec![1], &Some(vec![1]))
        );
        c.execute_batch("UPDATE groups SET parent = 1 WHERE id = 2")
            .expect("united");
        assert_ne!(of(&c, &filter, NOW, Ok(preview.token.seen)).token, preview.token);
        // What runs already keeps to its list.
        assert_eq!(
            query::groups_meant(&c, &preview.filter, 9, NOW).expect("read"),
            Some(vec![1])
        );
        let none = of(
            &c,
            &Filter {
                groups: vec![9],
                ..Filter::default()
            },
            NOW,
            Err(NOW),
        );
        assert_eq!(none.filter.only, Some(Vec::new()), "nothing, not everything");
    }
}
