//! Searches against a plain loop: words, phrases, values, tags, groups and their status, counted and by time.

use super::*;

pub fn index_all(connection: &Connection) {
    let waiting = crate::events::index::rows::next(connection, usize::MAX).unwrap();
    let mut done = 0;
    while done < waiting.len() {
        done += crate::events::index::rows::index(connection, &waiting[done..]).unwrap();
    }
    crate::events::index::rows::merge(connection, 16).unwrap();
}

fn put(connection: &Connection, json: &serde_json::Value) -> LoggedEvent {
    let event = parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap();
    let id = event.id;
    insert(connection, &[Prepared::new(event)], &mut Engine::default()).unwrap();
    event_of(connection, id)
}

fn event_of(connection: &Connection, id: Uuid) -> LoggedEvent {
    event(connection, id).unwrap().unwrap()
}

fn asked(q: &str) -> Filter {
    let mut filter = Filter::default();
    search::compile(q, &mut filter).unwrap();
    filter
}

fn found(connection: &Connection, q: &str) -> Vec<String> {
    let page = page(connection, &request(asked(q), None, 500)).unwrap();
    assert_eq!(total(&page), Some(page.events.len() as u64), "{q}");
    page.events.into_iter().map(|found| found.event.message).collect()
}

#[test]
fn words_are_found_whole_in_parts_and_never_as_syntax() {
    let connection = schema::connection();
    for message in [
        "SQLITE_BUSY: database is locked",
        "database was locked by foo_bar",
        "Zürich – naïve café",
        "NEAR OR AND NOT text:x \"quoted\" 5*3",
        "timeout after 30 ms in a.b.C",
    ] {
        put(&connection, &serde_json::json!({ "message": message }));
    }
    index_all(&connection);
    for (q, expected) in [
        ("SQLITE_BUSY", vec!["SQLITE_BUSY: database is locked"]),
        ("busy", vec!["SQLITE_BUSY: database is locked"]),
        ("foo_bar", vec!["database was locked by foo_bar"]),
        ("bar_foo", vec![]),
        ("a.b.c", vec!["timeout after 30 ms in a.b.C"]),
        (
            "database locked",
            vec!["database was locked by foo_bar", "SQLITE_BUSY: database is locked"],
        ),
        ("\"database is\"", vec!["SQLITE_BUSY: database is locked"]),
        ("\"is database\"", vec![]),
        ("database -foo_bar", vec!["SQLITE_BUSY: database is locked"]),
        (
            "-database -timeout -zurich",
            vec!["NEAR OR AND NOT text:x \"quoted\" 5*3"],
        ),
        (
            "data*",
            vec!["database was locked by foo_bar", "SQLITE_BUSY: database is locked"],
        ),
        ("\"is lock\"*", vec!["SQLITE_BUSY: database is locked"]),
        ("zurich NAIVE café", vec!["Zürich – naïve café"]),
        ("NOT", vec!["NEAR OR AND NOT text:x \"quoted\" 5*3"]),
        ("\"OR AND\" NEAR", vec!["NEAR OR AND NOT text:x \"quoted\" 5*3"]),
        ("\"text:x\" quoted", vec!["NEAR OR AND NOT text:x \"quoted\" 5*3"]),
        (
            "type:system locked severity:low,medium,high \"by foo\"",
            vec!["database was locked by foo_bar"],
        ),
        ("type:api locked", vec![]),
    ] {
        assert_eq!(found(&connection, q), expected, "{q}");
    }
}

#[test]
fn values_tags_groups_and_their_status_are_found_by_equality() {
    let connection = schema::connection();
    let one = put(
        &connection,
        &serde_json::json!({ "message": "one", "path": "/pay", "userId": 42, "ip": "127.0.0.1", "requestId": "r-1",
            "source": "shop", "release": "1.2", "environment": "production", "tags": { "region": "eu west" } }),
    );
    let two = put(
        &connection,
        &serde_json::json!({ "message": "two", "path": "/pay/x", "userId": "42", "source": "shop" }),
    );
    put(&connection, &serde_json::json!({ "message": "three" }));
    index_all(&connection);
    for (q, expected) in [
        ("path:/pay", vec!["one"]),
        ("userId:42", vec!["two", "one"]),
        (
            "userId:42 ip:127.0.0.1 requestId:r-1 source:shop release:1.2 environment:production",
            vec!["one"],
        ),
        ("tag.region:\"eu west\"", vec!["one"]),
        ("tag.region:eu", vec![]),
        ("source:Shop", vec![]),
        ("source:shop -two", vec!["one"]),
        ("path:pay", vec![]),
    ] {
        assert_eq!(found(&connection, q), expected, "{q}");
    }
    let group = |event: &LoggedEvent| crate::events::group_name(event.group_id.unwrap());
    assert_eq!(found(&connection, &format!("group:{}", group(&two))), ["two"]);
    assert_eq!(
        found(
            &connection,
            &format!("group:{0},{1},{0} group:{1},{0}", group(&two), group(&one))
        ),
        ["two", "one"]
    );
    assert_eq!(
        found(&connection, &format!("group:{} source:shop", group(&one))),
        ["one"]
    );
    let set = |sql: &str| assert_eq!(connection.execute(sql, [one.group_id]).unwrap(), 1);
    set("UPDATE groups SET status = 1 WHERE id = ?1");
    assert_eq!(found(&connection, "is:resolved"), ["one"]);
    assert_eq!(found(&connection, "is:unresolved source:shop"), ["two"]);
    set("UPDATE groups SET status = 0, regressed_at = 5 WHERE id = ?1");
    assert_eq!(found(&connection, "is:regressed"), ["one"]);
    assert_eq!(found(&connection, "is:unresolved").len(), 3);
    assert!(found(&connection, "is:muted").is_empty());
}

#[test]
fn two_values_under_one_token_are_told_apart_by_the_row() {
    let connection = schema::connection();
    put(&connection, &serde_json::json!({ "message": "one", "path": "/a" }));
    index_all(&connection);
    connection.execute("UPDATE events SET path = '/b'", []).unwrap();
    let page = page(&connection, &request(asked("path:/a"), None, 5)).unwrap();
    assert!(page.events.is_empty(), "the index still says /a");
}

#[test]
fn removed_events_are_found_no_more_indexed_or_not() {
    let connection = schema::connection();
    let is_sound = || connection.execute("INSERT INTO event_text (event_text) VALUES ('integrity-check')", []);
    put(&connection, &serde_json::json!({ "message": "indexed word" }));
    index_all(&connection);
    put(&connection, &serde_json::json!({ "message": "waiting word" }));
    connection.execute("DELETE FROM events", []).unwrap();
    index_all(&connection);
    put(&connection, &serde_json::json!({ "message": "new word" }));
    index_all(&connection);
    is_sound().unwrap();
    let page = page(&connection, &request(asked("word"), None, 5)).unwrap();
    assert_eq!((page.events.len(), total(&page)), (1, Some(1)));
    assert_eq!(
        connection.query_row("SELECT count(*) FROM to_index", [], |row| row.get(0)),
        Ok(0)
    );
}

#[test]
fn a_page_of_rare_events_looks_at_a_bounded_number_of_rows_and_goes_on() {
    let connection = schema::connection();
    let rare = put(
        &connection,
        &serde_json::json!({ "message": "rare", "timestamp": "2025-01-01T00:00:00Z" }),
    );
    let json = serde_json::json!({ "message": "common" }).to_string();
    let count = MOST_EXAMINED + 500;
    let many = (0..count).map(|_| Prepared::new(parse::event(&json, from_epoch_ms(NOW)).unwrap()));
    insert(&connection, &many.collect::<Vec<_>>(), &mut Engine::default()).unwrap();
    connection
        .execute("UPDATE groups SET status = 1 WHERE id = ?1", [rare.group_id])
        .unwrap();
    let first = page(&connection, &request(asked("is:resolved"), None, 5)).unwrap();
    assert!(first.events.is_empty());
    let second = page(&connection, &request(asked("is:resolved"), first.next, 5)).unwrap();
    assert_eq!((second.events.len(), second.next), (1, None));
}

#[test]
fn random_searches_agree_with_a_plain_loop() {
    let connection = schema::connection();
    let mut random = fastrand::Rng::with_seed(5);
    let words = ["alpha", "beta", "gamma", "delta"];
    let mut all = Vec::new();
    for _ in 0..300 {
        let text: Vec<_> = (0..random.usize(1..4)).map(|_| words[random.usize(..4)]).collect();
        let json = serde_json::json!({ "message": text.join(" "), "type": ErrorType::ALL[random.usize(..4)].name(),
            "path": format!("/{}", random.u8(..3)), "tags": { "t": random.u8(..3).to_string() },
            "timestamp": crate::clock::rfc3339_ms(from_epoch_ms(NOW - random.i64(0..50))) });
        all.push(put(&connection, &json));
    }
    index_all(&connection);
    for _ in 0..300 {
        let mut filter = random_filter(&mut random);
        filter.severities.clear();
        filter.since_ms = random.bool().then(|| NOW - random.i64(0..60));
        filter.until_ms = random.bool().then(|| NOW - random.i64(-1..60));
        if random.bool() {
            filter.values.push((Field::Path, format!("/{}", random.u8(..3))));
        }
        if random.bool() {
            filter.tags.push(("t".to_owned(), random.u8(..3).to_string()));
        }
        for word in words {
            if random.u8(..3) > 0 {
                continue;
            }
            let (text, is_prefix) = if random.bool() {
                (&word[..3], true)
            } else {
                (word, false)
            };
            filter.text.push(Sought {
                text: text.to_owned(),
                is_prefix,
                is_excluded: random.bool(),
            });
        }
        let wants = |found: &&LoggedEvent| {
            let event = &found.event;
            let has = |sought: &Sought| event.message.contains(&sought.text) != sought.is_excluded;
            matches(&filter, (event.kind, event.severity, event.timestamp_ms))
                && filter.values.iter().all(|(_, path)| event.path.as_ref() == Some(path))
                && filter
                    .tags
                    .iter()
                    .all(|(name, value)| event.extras.tags.get(name) == Some(value))
                && filter.text.iter().all(has)
        };
        let expected = all.iter().filter(wants).count();
        let page = page(&connection, &request(filter.clone(), None, 500)).unwrap();
        assert_eq!(
            (page.events.len(), total(&page)),
            (expected, Some(expected as u64)),
            "{filter:?}"
        );
    }
}

#[test]
fn a_mute_that_is_over_is_searched_as_unresolved_from_that_moment_on() {
    let connection = schema::connection();
    let group = put(&connection, &serde_json::json!({ "message": "muted for a while" })).group_id;
    put(&connection, &serde_json::json!({ "message": "another" }));
    connection
        .execute(
            "UPDATE groups SET status = 2, muted_until = ?2 WHERE id = ?1",
            [group.unwrap(), NOW + 1000],
        )
        .unwrap();
    let found = |q: &str, now_ms| {
        let mut list = request(asked(q), None, 5);
        (list.now_ms, list.histogram) = (now_ms, true);
        let page = page(&connection, &list).unwrap();
        let tally = page.tally.unwrap();
        let by_time: u64 = tally.histogram.unwrap().counts.iter().sum();
        (page.events.len(), tally.total, by_time)
    };
    for (q, before, after) in [("is:unresolved", 1, 2), ("is:muted", 1, 0), ("is:regressed", 0, 0)] {
        assert_eq!(found(q, NOW + 999), (before, before as u64, before as u64), "{q}");
        assert_eq!(found(q, NOW + 1000), (after, after as u64, after as u64), "{q}");
    }
}
