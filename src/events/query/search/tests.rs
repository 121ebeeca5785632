//! The language of `q`: what compiles to what, and that nothing at all makes it panic or leave the quotation marks.

use proptest::prelude::*;

use super::*;
use crate::events::schema;

fn asked(q: &str) -> Result<Filter, String> {
    let mut filter = Filter::default();
    compile(q, &mut filter).map(|()| filter)
}

fn word(text: &str) -> Sought {
    Sought {
        text: text.to_owned(),
        is_prefix: false,
        is_excluded: false,
    }
}

#[test]
fn parts_become_filters_or_text() {
    let filter =
        asked(r#" is:unresolved,muted path:/pay tag.region:"eu west" "connection refused"  time* -retry group:E-17 "#);
    let expected = Filter {
        statuses: vec![GroupStatus::Unresolved, GroupStatus::Muted],
        values: vec![(Field::Path, "/pay".to_owned())],
        tags: vec![("region".to_owned(), "eu west".to_owned())],
        groups: vec![17],
        text: vec![
            word("connection refused"),
            Sought {
                is_prefix: true,
                ..word("time")
            },
            Sought {
                is_excluded: true,
                ..word("retry")
            },
        ],
        ..Filter::default()
    };
    assert_eq!(filter.unwrap(), expected);
    assert_eq!(
        asked("source:a:b severity:high - x").err(),
        Some("\"-\" has no letter or digit to look for".to_owned())
    );
    assert_eq!(asked("source:a:b").unwrap().values, [(Field::Source, "a:b".to_owned())]);
    assert_eq!(asked("foo-bar").unwrap().text, [word("foo-bar")]);
    assert_eq!(asked("\"a:b\"").unwrap().text, [word("a:b")]);
}

#[test]
fn what_is_wrong_is_named_with_what_is_allowed() {
    for (q, said) in [
        ("", "must hold something"),
        ("  ", "must hold something"),
        ("colour:red", "colour: is not a known key; allowed are is, type"),
        (
            "is:open",
            "is: must be one or more of unresolved, resolved, muted, regressed",
        ),
        ("type:db", "type: must be one or more of database, socket, api, system"),
        ("group:17", "group: must be a group's id such as E-17"),
        ("group:E-017", "group: must be"),
        ("tag.:x", "tag.: is not a known key"),
        ("path:", "path: has no value"),
        ("\"open", "a quotation mark is not closed"),
        ("\"\"", "no letter or digit"),
        ("***", "no letter or digit"),
        ("a*", "at least 2 letters"),
        ("-path:/x", "only words and phrases can be left out"),
    ] {
        let why = asked(q).unwrap_err();
        assert!(why.contains(said), "{q}: {why}");
    }
    assert!(
        asked(&"w ".repeat(MOST_PARTS + 1))
            .unwrap_err()
            .contains("at most 32 parts")
    );
}

#[test]
fn a_filter_only_narrows_what_was_asked_for_before() {
    let statuses = |q: &str| asked(q).map(|filter| filter.statuses);
    assert_eq!(
        statuses("is:unresolved,muted is:muted,resolved"),
        Ok(vec![GroupStatus::Muted])
    );
    assert_eq!(
        statuses("is:unresolved is:regressed"),
        Ok(vec![GroupStatus::Regressed]),
        "what regressed is unresolved too"
    );
    assert_eq!(asked("type:api,system type:system").unwrap().types, [ErrorType::System]);
    // Ids that differ may name one group.
    let groups = asked("group:E-1,E-2 group:E-2,E-3 group:E-4").unwrap();
    assert_eq!(
        (groups.groups, groups.also_groups),
        (vec![1, 2], vec![vec![2, 3], vec![4]])
    );
    for q in [
        "is:unresolved is:muted",
        "severity:low severity:high",
        "type:api type:system",
    ] {
        let why = asked(q).unwrap_err();
        assert!(why.contains("nothing in common"), "{q}: {why}");
    }
    // What the list's own parameter asked for is narrowed alike.
    let mut filter = Filter {
        severities: vec![Severity::Low],
        ..Filter::default()
    };
    compile("severity:low,high", &mut filter).unwrap();
    assert_eq!(filter.severities, [Severity::Low]);
    assert!(compile("severity:high", &mut filter).is_err());
}

proptest! {
    #[test]
    fn any_text_is_refused_or_runs(q in r#"([a-zA-Z0-9:"*\-(){}^+. ]|\PC|AND |NEAR\(|\x00){0,40}"#) {
        let connection = schema::connection();
        if let Ok(filter) = asked(&q) && let Some(wanted) = filter.match_text(|one| Ok::<_, ()>(match_one(one))).unwrap() {
            let mut statement = connection.prepare("SELECT rowid FROM event_text WHERE event_text MATCH ?1").unwrap();
            prop_assert!(statement.query([&wanted]).and_then(|mut rows| rows.next().map(|_| ())).is_ok(), "{wanted}");
        }
    }
}
