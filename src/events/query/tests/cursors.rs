//! Cursors against a plain model: any order of pages, new events (also of the past, also of one millisecond) and removals.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    /// A page of this size.
    Page(u32),
    /// An event so many milliseconds before now; many share one.
    Add(i64),
    /// The stored event at this share of all goes.
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..9_u32).prop_map(Step::Page),
        3 => (0..20_i64).prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let text = |text: &str, is_prefix| Filter {
        text: vec![Sought {
            text: text.to_owned(),
            is_prefix,
            is_excluded: false,
        }],
        ..Filter::default()
    };
    let by = |types: Vec<ErrorType>, values: Vec<(Field, String)>, statuses: Vec<GroupStatus>| Filter {
        types,
        values,
        statuses,
        ..Filter::default()
    };
    prop_oneof![
        Just(Filter::default()),
        Just(by(vec![ErrorType::Api, ErrorType::Socket], vec![], vec![])),
        Just(by(vec![], vec![(Field::Path, "/p".to_owned())], vec![])),
        Just(by(vec![], vec![], vec![GroupStatus::Unresolved])),
        Just(text("every", false)),
        Just(text("wo", true)),
    ]
}

fn put(connection: &Connection, back_ms: i64) -> Uuid {
    let json = serde_json::json!({ "message": format!("every word{}", back_ms % 4), "type": "api", "path": "/p",
        "timestamp": crate::clock::rfc3339_ms(from_epoch_ms(NOW - back_ms)) });
    let event = parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap();
    let id = event.id;
    insert(connection, &[Prepared::new(event)], &mut Engine::default()).unwrap();
    index_all(connection);
    id
}

fn ids(page: &Page) -> Vec<Uuid> {
    page.events.iter().map(|found| found.event.id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cursors_never_skip_or_repeat(filter in filters(), first in prop::collection::vec(0..20_i64, 0..30),
                                    steps in prop::collection::vec(step(), 0..30)) {
        let connection = schema::connection();
        let mut stored: BTreeSet<Uuid> = first.into_iter().map(|back| put(&connection, back)).collect();
        // What was there when the first page was read, and stays to the end, is listed once.
        let mut lasting = stored.clone();
        let mut listed: Vec<Uuid> = Vec::new();
        let (mut after, mut ended) = (None, false);
        for step in steps.into_iter().chain((0..20).map(|_| Step::Page(8))) {
            match step {
                Step::Page(limit) if !ended => {
                    let page = page(&connection, &request(filter.clone(), after, limit)).unwrap();
                    prop_assert!(page.events.len() <= limit as usize);
                    prop_assert!(page.events.windows(2).all(|w| w[0].event.timestamp_ms >= w[1].event.timestamp_ms));
                    listed.extend(ids(&page));
                    ended = page.next.is_none();
                    after = page.next.and_then(|next| Position::parse(&next.to_string()));
                }
                Step::Page(_) => {}
                Step::Add(back) => {
                    stored.insert(put(&connection, back));
                }
                Step::Remove(share) if !stored.is_empty() => {
                    let id = *stored.iter().nth(share % stored.len()).unwrap();
                    connection.execute("DELETE FROM events WHERE id = ?1", [id.as_bytes()]).unwrap();
                    stored.remove(&id);
                    lasting.remove(&id);
                }
                Step::Remove(_) => {}
            }
        }
        prop_assert!(ended, "the pages come to an end");
        let unique: BTreeSet<Uuid> = listed.iter().copied().collect();
        prop_assert_eq!(unique.len(), listed.len(), "repeated");
        prop_assert!(lasting.is_subset(&unique), "skipped");
    }
}
