//! What SDKs tell of themselves (floor 2): what they threw away, what they sent in vain. In memory, since the start.
//!
//! What must stay true: whatever names arrive, memory is bounded: past the bound they are counted together.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

/// Most names that are counted apart.
const MOST_NAMES: usize = 32;
const MOST_NAME_BYTES: usize = 64;
/// All the others.
const OTHER: &str = "other";

/// The counts at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCounts {
    /// Events that SDKs threw away before they were sent, by the reason they give; `reason.category` for others.
    pub discarded: BTreeMap<String, u64>,
    /// Items that came and are not kept, by their kind: transactions, sessions …
    pub skipped: BTreeMap<String, u64>,
    /// Requests with a key that isn't known.
    pub refused_keys: u64,
}

/// The counts themselves.
#[derive(Debug, Default)]
pub struct Clients(Mutex<ClientCounts>);

impl Clients {
    /// The counts now.
    pub fn counts(&self) -> ClientCounts {
        self.0.lock().clone()
    }

    /// What a client report says.
    pub fn discarded(&self, reason: &str, count: u64) {
        add(&mut self.0.lock().discarded, reason, count);
    }

    /// An item that isn't kept.
    pub fn skipped(&self, kind: &str) {
        add(&mut self.0.lock().skipped, kind, 1);
    }

    /// A request with a key that isn't known.
    pub fn refused_key(&self) {
        self.0.lock().refused_keys += 1;
    }
}

/// Adds to the count of a name; of one that isn't plain or is one too many, to that of the others.
pub(super) fn add(counts: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let plain = (1..=MOST_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain);
    let name = if plain && (counts.contains_key(name) || counts.len() < MOST_NAMES) {
        name
    } else {
        OTHER
    };
    let sum = counts.entry(name.to_owned()).or_default();
    *sum = sum.saturating_add(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_apart_up_to_a_bound() {
        let clients = Clients::default();
        clients.discarded("queue_full", 3);
        clients.discarded("queue_full", u64::MAX);
        clients.skipped("<b>");
        (0..100).for_each(|n| clients.skipped(&format!("kind{n}")));
        let counts = clients.counts();
        assert_eq!(counts.discarded["queue_full"], u64::MAX);
        assert_eq!(counts.skipped.values().sum::<u64>(), 101);
        assert!(counts.skipped.len() <= MOST_NAMES + 1 && counts.skipped[OTHER] > 1);
    }
}
