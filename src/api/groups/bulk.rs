//! One act on many groups (floor 6): those of a list of ids, or those that a filter finds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::body::Body;
use super::{hand, params};
use crate::db::Database;
use crate::events::life::{self, Act, Acted, By, List, MOST_AT_ONCE};
use crate::events::{group_name, group_number};
use crate::http::{ApiResult, FieldError, Query};

/// What the body may hold besides a reason.
pub(super) const MEMBERS: [&str; 7] = [
    "ids",
    "filter",
    "action",
    "inRelease",
    "until",
    "untilCount",
    "withinSeconds",
];
const ACTIONS: &str = "must be one of resolve, reopen, mute";

/// Which groups.
enum Chosen {
    Ids(Vec<i64>),
    Matching(Box<List>),
}

/// What is wanted; nothing of it counts unless the body turns out to be sound.
pub(super) struct Wanted {
    chosen: Chosen,
    act: Act,
}

impl Wanted {
    /// Of a body.
    pub fn of(body: &mut Body, now: Timestamp) -> Self {
        let chosen = match (body.take("ids"), body.take("filter")) {
            (Some(ids), None) => Chosen::Ids(numbers(body, "ids", &ids)),
            (None, Some(filter)) => matching(body, &filter, now),
            _ => {
                body.refuse("", "must have either ids or a filter");
                Chosen::Ids(Vec::new())
            }
        };
        let action = body.take("action");
        let act = match action.as_ref().and_then(Value::as_str) {
            Some("resolve") => body.resolve(),
            Some("mute") => body.mute(now),
            Some("reopen") => Act::Reopen,
            _ => {
                body.refuse("/action", ACTIONS);
                Act::Reopen
            }
        };
        let others: &[&str] = match act {
            Act::Resolve(_) => &["until", "untilCount", "withinSeconds"],
            Act::Mute { .. } => &["inRelease"],
            Act::Reopen => &["inRelease", "until", "untilCount", "withinSeconds"],
        };
        for name in others {
            if body.take(name).is_some() {
                body.refuse(format!("/{name}"), "is not taken by this action");
            }
        }
        Self { chosen, act }
    }
}

pub(super) fn numbers(body: &mut Body, name: &str, ids: &Value) -> Vec<i64> {
    let Some(ids) = ids.as_array().filter(|ids| (1..=MOST_AT_ONCE).contains(&ids.len())) else {
        body.refuse(
            format!("/{name}"),
            format!("must be an array of 1 to {MOST_AT_ONCE} ids"),
        );
        return Vec::new();
    };
    let mut numbers = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        match id.as_str().and_then(group_number) {
            Some(number) if numbers.contains(&number) => body.refuse(format!("/{name}/{index}"), "is named twice"),
            Some(number) => numbers.push(number),
            None => body.refuse(format!("/{name}/{index}"), "must be a group's id such as E-17"),
        }
    }
    numbers
}

/// A filter has the parameters of the list, as texts.
fn matching(body: &mut Body, filter: &Value, now: Timestamp) -> Chosen {
    let Some(members) = filter.as_object().filter(|members| !members.is_empty()) else {
        body.refuse(
            "/filter",
            "must be an object with at least one of the list's parameters",
        );
        return Chosen::Ids(Vec::new());
    };
    let mut pairs = Vec::new();
    for (name, value) in members {
        match value.as_str() {
            Some(text) => pairs.push((name.clone(), text.to_owned())),
            None => {
                let place = FieldError::member(name, "").pointer;
                body.refuse(format!("/filter{place}"), "must be a string, as in the list's query");
            }
        }
    }
    if pairs.len() < members.len() {
        return Chosen::Ids(Vec::new());
    }
    match params::filter_of(&Query { pairs }, now) {
        Ok(list) => Chosen::Matching(Box::new(list)),
        Err(problem) => {
            for error in &problem.errors {
                let place = FieldError::member(&error.pointer, "").pointer;
                body.refuse(format!("/filter{place}"), error.detail.clone());
            }
            Chosen::Ids(Vec::new())
        }
    }
}

/// Acts on them, all in one transaction.
///
/// # Errors
/// Those of the database; nothing was done then.
pub(super) async fn perform(database: &Database, wanted: Wanted, by: By) -> ApiResult<Value> {
    let (acted, is_more) = match wanted.chosen {
        Chosen::Ids(ids) => (life::act_on_all(database, ids, wanted.act, by).await?, false),
        Chosen::Matching(list) => life::act_on_matching(database, *list, wanted.act, by).await?,
    };
    let changed = acted.iter().filter(|(_, acted)| *acted == Acted::Done).count();
    let results: Vec<Value> = acted.iter().map(|(group, acted)| result(*group, acted)).collect();
    Ok(json!({ "changed": changed, "results": results, "more": is_more }))
}

fn result(group: i64, acted: &Acted) -> Value {
    let id = group_name(group);
    match acted {
        Acted::Done => json!({ "id": id, "result": "changed" }),
        Acted::Unchanged => json!({ "id": id, "result": "unchanged" }),
        Acted::Not(why) => json!({ "id": id, "result": "refused", "detail": hand::told(why) }),
    }
}
