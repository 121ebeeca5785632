//! JSON merge patch, RFC 7396 (floor 2, pure).
//!
//! What must stay true: null removes, an object merges member by member, everything else replaces; the result
//! is never nested deeper than the deeper of the two, so the parser's limit bounds the recursion.
use serde_json::{Map, Value};

/// Applies `patch` to the members of an object.
pub fn merge_members(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    // In one pass, since what stays must keep its order: taking members out one by one would move the rest each time.
    target.retain(|name, _| !patch.get(name).is_some_and(Value::is_null));
    for (name, value) in patch {
        if !value.is_null() {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// Applies `patch` to `target`.
pub fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(members) => {
            // Merging into an empty object, rather than replacing, strips the patch's own nulls.
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            if let Value::Object(target) = target {
                merge_members(target, members);
            }
        }
        other => *target = other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stays_keeps_its_order() {
        let target = json!({"a": 1, "b": null, "c": {"x": 1, "y": 2, "z": 3}, "d": 4});
        let text = merged(target, json!({"a": null, "c": {"x": null}, "e": 5})).to_string();
        assert_eq!(text, r#"{"b":null,"c":{"y":2,"z":3},"d":4,"e":5}"#);
    }

    fn merged(mut target: Value, patch: Value) -> Value {
        merge(&mut target, patch);
        target
    }

    #[test]
    fn the_cases_of_the_standard_hold() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(merged(target.clone(), patch.clone()), expected, "{target} + {patch}");
        }
    }

    #[test]
    fn the_same_patch_twice_changes_nothing_more() {
        let once = merged(
            json!({"a": {"x": 1}, "n": 3}),
            json!({"a": {"y": [null], "x": null}, "n": {"z": false}}),
        );
        assert_eq!(once, json!({"a": {"y": [null]}, "n": {"z": false}}));
        let patch = json!({"a": {"y": [null], "x": null}, "n": {"z": false}});
        assert_eq!(merged(once.clone(), patch), once);
    }
}
