//! Which events are the same error (floor 2).
//!
//! ```text
//! event ─ subject ─▶ fingerprint, frames, or scanner ▶ pieces ▶ template ─▶ key     pure, outside the writer
//! key ─ engine ─▶ known group │ joins a wider template │ new group, words counted   in the writer's transaction
//! ```
//!
//! What must stay true: an event's key depends on its content alone and is stable across restarts and machines; events of
//! different sources or types never share a group, unless a hand merges them; a new version of the rules is for new keys,
//! never makes other groups of old ones. The store calls [`scan`] for every event before it is written and [`Engine`] inside the
//! write; the acts of hands ([`merge`], [`split`], [`undo`], [`set_mode`]) run in a write transaction of their own.

use serde::{Deserialize, Serialize};

mod bytes;
mod changes;
mod complete;
mod counting;
mod engine;
mod explain;
mod family;
mod frames;
mod hands;
mod letters;
mod lists;
mod make;
mod modes;
mod names;
mod parting;
mod pieces;
mod placing;
mod preview;
mod quotes;
mod recent;
mod repeats;
mod scanner;
mod settling;
mod shapes;
mod stored;
mod subject;
mod tables;
mod template;
mod undoing;
mod unions;
mod words;

#[cfg(test)]
pub(super) use counting::recount;
pub use engine::{Decision, Engine, MOST_HOLES, MOST_JOINED, MOST_KEYS, THRESHOLDS};
pub use explain::{Change, Explained, KeyShown, explain, touched_by, touched_roots};
pub use family::{aliases, family, newest_parting, root, touched};
pub(in crate::events) use frames::is_shown_as_own;
pub use hands::{Act, Done, Refused, Selection, merge, parse_key, split};
pub use modes::{Choice, MOST_CHOICES, Mode, choices, choose, set_mode};
pub use preview::{Otherwise, Preview, Regrouped, preview, preview_of, template_of, workspace};
pub use subject::Subject;
pub use undoing::undo;
pub use words::Masked;

/// The version of what a key is made of; it is part of every key.
const KEYS: u8 = 2;

/// A version of the rules. All of them give an event the same key; they differ in what becomes of a key that no group has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rules {
    /// Each word is one of its own.
    Two = 2,
    /// A name of several words is one, and what is made of parts beside a value is a part of it.
    #[default]
    Three = 3,
}

impl Rules {
    /// Every version that can be asked for, the oldest first.
    pub const ALL: [Rules; 2] = [Self::Two, Self::Three];

    /// Its number, as groups and explanations have it.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The version with a number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|rules| u64::from(rules.number()) == number)
    }
}

/// What decided the grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The client's fingerprint.
    Fingerprint = 0,
    /// The exception's type and frames, or its type and its text's template.
    Exception = 1,
    /// The message's template.
    Message = 2,
    /// The very text, because the source asked for it.
    Exact = 3,
    /// The source and the type alone, because the source asked for it.
    Source = 4,
}

/// Why a group was made, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What decided.
    pub basis: Basis,
    /// The parts of the key, after source and type.
    pub parts: Vec<String>,
    /// The version of the rules.
    pub version: u32,
    /// What was masked in the first event's text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<MaskedToken>,
}

/// A part of a text that was taken for a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedToken {
    /// Where it begins in the text, in bytes.
    pub at: usize,
    /// The text, at most 80 characters of it.
    pub text: String,
    /// What it was taken for.
    pub class: Masked,
}

/// An event's key, computed before the event reaches the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    key: template::Key,
}

/// Reads what an event is grouped by; pure, about a microsecond.
pub fn scan<'e>(event: impl Into<Subject<'e>>) -> Scanned {
    Scanned {
        key: event.into().key(),
    }
}

/// A text's template, as a group of such messages would begin.
pub fn template(text: &str) -> String {
    template::Template::new(text, Vec::new()).shown()
}

#[cfg(test)]
mod tests;
