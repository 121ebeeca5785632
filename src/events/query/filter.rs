//! Which events a list wants (floor 2, pure), and its two forms: a match for the text index and conditions for a row.
//!
//! What must stay true: an event is listed when every member of the filter holds, whichever way it was found; the user's
//! text is only ever inside a quoted string of the match.

use serde::{Deserialize, Serialize};

use super::Position;
use crate::events::index::words::{self, Field};
use crate::events::life::Status;
use crate::events::model::{ErrorType, Severity};
use crate::events::order::first_place;

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupStatus {
    /// It wants somebody's attention.
    Unresolved,
    /// It was dealt with.
    Resolved,
    /// Nobody wants to hear of it.
    Muted,
    /// It was resolved and came back; it is unresolved as well.
    Regressed,
}

impl GroupStatus {
    /// Every status.
    pub const ALL: [GroupStatus; 4] = [Self::Unresolved, Self::Resolved, Self::Muted, Self::Regressed];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Muted => "muted",
            Self::Regressed => "regressed",
        }
    }

    /// The status of a word on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether every group that is in the other is in it.
    pub(super) fn includes(self, other: Self) -> bool {
        self == other || (self == Self::Unresolved && other == Self::Regressed)
    }

    /// Whether a group that stands so is in it.
    pub(super) fn holds(self, status: Status, regressed: bool) -> bool {
        match self {
            Self::Unresolved => status == Status::Unresolved,
            Self::Resolved => status == Status::Resolved,
            Self::Muted => status == Status::Muted,
            Self::Regressed => status == Status::Unresolved && regressed,
        }
    }
}

/// A word or phrase that is looked for in the events' texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// One word, or several that follow each other.
    pub text: String,
    /// Whether its last word may go on.
    pub is_prefix: bool,
    /// Whether events that have it are left out.
    pub is_excluded: bool,
}

/// Which events; an empty list means that all will do. A removal that outlives the process is kept as its JSON: a condition
/// of another version that this one doesn't know is refused, because without it more would be removed than was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only these types.
    pub types: Vec<ErrorType>,
    /// Only these severities.
    pub severities: Vec<Severity>,
    /// Not before this, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Before this, milliseconds since the epoch.
    pub until_ms: Option<i64>,
    /// Each of these members has this value.
    pub values: Vec<(Field, String)>,
    /// Each of these tags has this value.
    pub tags: Vec<(String, String)>,
    /// In one of these groups, or in one that is one with it.
    pub groups: Vec<i64>,
    /// And in one of each of these lists. Whether ids that differ mean the same is known where the groups are alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_groups: Vec<Vec<i64>>,
    /// Their rows name one of these, ascending, whatever has become of groups since: what a removal was begun for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::steps")]
    pub only: Option<Vec<i64>>,
    /// They were stored up to this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_until: Option<i64>,
    /// Their group is in one of these.
    pub statuses: Vec<GroupStatus>,
    /// All of these are in their texts.
    pub text: Vec<Sought>,
}

impl Filter {
    /// Whether only the text index finds these events quickly.
    pub fn needs_index(&self) -> bool {
        !(self.values.is_empty() && self.tags.is_empty() && self.text.is_empty())
    }

    /// Whether what is counted on a sample of a storm matches when the sample does: it agrees with that in its group, kind,
    /// source, release and environment, and its time to the hour, and in nothing else.
    pub(in crate::events) fn holds_for_samples(&self) -> bool {
        let agrees = |field| matches!(field, Field::Source | Field::Release | Field::Environment);
        self.text.is_empty() && self.tags.is_empty() && self.values.iter().all(|(field, _)| agrees(*field))
    }

    /// Whether the types and severities wanted are all there are.
    pub(super) fn wants_every_kind(&self) -> bool {
        wanted(&self.types, &ErrorType::ALL).len() == ErrorType::ALL.len()
            && wanted(&self.severities, &Severity::ALL).len() == Severity::ALL.len()
    }

    /// Each wanted pair of type and severity.
    pub(in crate::events) fn kinds(&self) -> Vec<(ErrorType, Severity)> {
        let severities = wanted(&self.severities, &Severity::ALL);
        let of_type = |kind| severities.iter().map(move |severity| (kind, *severity));
        wanted(&self.types, &ErrorType::ALL)
            .into_iter()
            .flat_map(of_type)
            .collect()
    }

    /// Whether the row's own columns satisfy it.
    pub(in crate::events) fn wants_kind(&self, kind: ErrorType, severity: Severity) -> bool {
        (self.types.is_empty() || self.types.contains(&kind))
            && (self.severities.is_empty() || self.severities.contains(&severity))
    }

    /// The places of the span of time, older than `after`: from the first to before the second.
    pub(in crate::events) fn span(&self, after: Option<Position>) -> (i64, i64) {
        let first = self.since_ms.map_or(i64::MIN, first_place);
        let until = self.until_ms.map_or(i64::MAX, first_place);
        (first, after.map_or(until, |after| until.min(after.0)))
    }

    /// What the text index is asked for, each word or phrase as `one` writes it; `None` where it isn't needed.
    pub(super) fn match_text<E>(&self, mut one: impl FnMut(&Sought) -> Result<String, E>) -> Result<Option<String>, E> {
        if !self.needs_index() {
            return Ok(None);
        }
        let term = |token: String| format!("terms : \"{token}\"");
        let mut all: Vec<String> = self
            .values
            .iter()
            .map(|(f, v)| term(words::field_token(*f, v)))
            .collect();
        all.extend(
            self.tags
                .iter()
                .map(|(name, value)| term(words::tag_token(name, value))),
        );
        for wanted in self.text.iter().filter(|s| !s.is_excluded) {
            all.push(one(wanted)?);
        }
        // A match can't only leave out; and every event has a kind.
        if all.is_empty() || !self.wants_every_kind() {
            let kinds = self.kinds().into_iter().map(|(k, s)| term(words::kind_token(k, s)));
            all.push(format!("({})", kinds.collect::<Vec<_>>().join(" OR ")));
        }
        let wanted = all.join(" AND ");
        let unwanted: Vec<_> = self
            .text
            .iter()
            .filter(|s| s.is_excluded)
            .map(one)
            .collect::<Result<_, E>>()?;
        Ok(Some(if unwanted.is_empty() {
            wanted
        } else {
            format!("({wanted}) NOT ({})", unwanted.join(" OR "))
        }))
    }
}

/// The wanted values without repeats; all of them when none is named.
fn wanted<T: Copy + PartialEq>(named: &[T], all: &[T]) -> Vec<T> {
    all.iter()
        .copied()
        .filter(|value| named.is_empty() || named.contains(value))
        .collect()
}
