//! What the bodies of merge, split and undo say (floor 6, pure).

use serde_json::Value;

use super::body::Body;
use super::bulk::numbers;
use crate::events::group::{Selection, parse_key};
use crate::events::life::Change;
use crate::events::parse;

/// Most keys or events that one call names.
const MOST_NAMED: usize = 100;

/// `ids`: the groups that become one with this.
pub(super) fn merge(id: i64, body: &mut Body) -> Change {
    let ids = body.take("ids").unwrap_or(Value::Null);
    let mut groups = numbers(body, "ids", &ids);
    groups.push(id);
    Change::Merge(groups)
}

/// One of `aliases`, `keys` and `events`: what is taken out of this.
pub(super) fn split(id: i64, body: &mut Body) -> Change {
    let selection = match (body.take("aliases"), body.take("keys"), body.take("events")) {
        (Some(aliases), None, None) => Selection::Aliases(numbers(body, "aliases", &aliases)),
        (None, Some(keys), None) => Selection::Keys(named(body, "keys", &keys, "a key of the explanation", parse_key)),
        (None, None, Some(events)) => Selection::Events(named(body, "events", &events, "an event's id", parse::id)),
        _ => {
            body.refuse("", "must have one of aliases, keys and events");
            Selection::Aliases(Vec::new())
        }
    };
    Change::Split(id, selection)
}

/// `change`: what is taken back.
pub(super) fn undo(id: i64, body: &mut Body) -> Change {
    let named = body.has("change");
    let change = body.number("change", i64::MAX.unsigned_abs()).map(u64::cast_signed);
    if !named {
        body.refuse("/change", "is required: the number of a change of the explanation");
    }
    Change::Undo(id, change.unwrap_or(0))
}

fn named<T>(body: &mut Body, name: &str, given: &Value, what: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let Some(given) = given.as_array().filter(|given| (1..=MOST_NAMED).contains(&given.len())) else {
        body.refuse(
            format!("/{name}"),
            format!("must be an array of 1 to {MOST_NAMED}, each {what}"),
        );
        return Vec::new();
    };
    let mut found = Vec::with_capacity(given.len());
    for (index, one) in given.iter().enumerate() {
        match one.as_str().and_then(&read) {
            Some(one) => found.push(one),
            None => body.refuse(format!("/{name}/{index}"), format!("must be {what}")),
        }
    }
    found
}
