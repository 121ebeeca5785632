//! Which events are the same error (floor 2, pure): an event's group key, its title, and why it is so.
//!
//! What must stay true: the key of an event depends on its content alone and is stable across restarts; events of
//! different sources or types never share a key; a new version of the rules makes new keys, never other groups for old ones.
//! The store calls a [`Grouper`] for every event before it writes.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::model::{ErrorEvent, Exception, Frame};

mod template;
pub use template::template;

/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Where a client's fingerprint takes ours in.
const DEFAULT_PART: &str = "{{ default }}";

/// What decided the grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The client's fingerprint.
    Fingerprint,
    /// The exception's type and frames.
    Exception,
    /// The message's template.
    Message,
}

/// Why an event is in its group, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What decided.
    pub basis: Basis,
    /// The parts of the key, after source and type.
    pub parts: Vec<String>,
    /// The version of the rules.
    pub version: u32,
}

/// An event's place: equal keys are the same group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKey {
    /// 128 bits of a hash over the source, the type and the parts.
    pub hash: [u8; 16],
    /// What a new group is called.
    pub title: String,
    /// Why.
    pub explanation: Explanation,
}

/// The rules that give an event its key.
pub trait Grouper: Send + Sync + 'static {
    /// The event's key.
    fn key(&self, event: &ErrorEvent) -> GroupKey;
}

/// Client fingerprint, else exception type and in-application frames, else the message's template.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fingerprints;

impl Fingerprints {
    /// The version of these rules; it is part of every key.
    pub const VERSION: u32 = 1;
}

impl Grouper for Fingerprints {
    fn key(&self, event: &ErrorEvent) -> GroupKey {
        let client = &event.extras.fingerprint;
        let (basis, parts) = if client.is_empty() {
            own_parts(event)
        } else {
            (Basis::Fingerprint, client_parts(client, event))
        };
        GroupKey {
            hash: hash(event, basis, &parts),
            title: title(event),
            explanation: Explanation {
                basis,
                parts,
                version: Self::VERSION,
            },
        }
    }
}

fn client_parts(client: &[String], event: &ErrorEvent) -> Vec<String> {
    let mut parts = Vec::with_capacity(client.len());
    for part in client {
        if part == DEFAULT_PART {
            parts.extend(own_parts(event).1);
        } else {
            parts.push(part.clone());
        }
    }
    parts
}

fn own_parts(event: &ErrorEvent) -> (Basis, Vec<String>) {
    let Some(exception) = &event.extras.exception else {
        return (Basis::Message, vec![template(&event.message)]);
    };
    let mut parts = vec![exception.kind.clone().unwrap_or_default()];
    let frames = frame_parts(&exception.frames);
    if frames.is_empty() {
        parts.push(template(exception.value.as_deref().unwrap_or(&event.message)));
    } else {
        parts.extend(frames);
    }
    (Basis::Exception, parts)
}

/// The application's own frames; all of them when none is marked as its own. Line numbers change with every release and stay out.
fn frame_parts(frames: &[Frame]) -> Vec<String> {
    let any_own = frames.iter().any(|f| f.in_app != Some(false));
    let mut parts: Vec<String> = frames
        .iter()
        .filter(|f| !any_own || f.in_app != Some(false))
        .filter_map(frame_part)
        .collect();
    // Recursion of another depth is the same error.
    parts.dedup();
    parts
}

fn frame_part(frame: &Frame) -> Option<String> {
    let place = frame.module.as_deref().or(frame.file.as_deref());
    match (place, frame.function.as_deref()) {
        (None, None) => None,
        (place, function) => Some(format!("{}:{}", place.unwrap_or("?"), function.unwrap_or("?"))),
    }
}

/// Lengths go in before the texts, so that no two lists of parts give the same bytes.
fn hash(event: &ErrorEvent, basis: Basis, parts: &[String]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(Fingerprints::VERSION.to_le_bytes());
    hasher.update([event.kind.number(), basis as u8]);
    let source = event.source.as_deref().unwrap_or("");
    for part in std::iter::once(source).chain(parts.iter().map(String::as_str)) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}

fn title(event: &ErrorEvent) -> String {
    let text = match &event.extras.exception {
        Some(exception) => exception_title(exception, &event.message),
        None => template(&event.message),
    };
    let one_line = text.lines().next().unwrap_or_default();
    one_line.chars().take(MAX_TITLE_CHARS).collect()
}

fn exception_title(exception: &Exception, message: &str) -> String {
    let value = template(exception.value.as_deref().unwrap_or(message));
    match &exception.kind {
        Some(kind) => format!("{kind}: {value}"),
        None => value,
    }
}

#[cfg(test)]
mod tests;
