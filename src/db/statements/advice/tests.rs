use super::*;

const APP: &str = include_str!("../../../records/sql/0001_documents.sql");
const EVENTS: &str = include_str!("../../../events/schema/001_events.sql");

/// The advice on a file with this schema, and the plan after the proposal is really made there.
fn advised(schema: &str, sql: &str) -> (Advice, Plan) {
    let file = Connection::open_in_memory().expect("opens");
    file.execute_batch(schema).expect("a schema");
    let plan = Plan::of(&file, sql).expect("a plan");
    let advice = advise(&Schema::read(&file).expect("read"), sql, &plan, 119_999).expect("advice");
    if let Some(index) = &advice.index {
        file.execute_batch(index).expect("the proposal works");
    }
    let after = Plan::of(&file, sql).expect("a plan");
    (advice, after)
}

#[test]
fn an_index_is_proposed_that_works() {
    for (schema, sql, index) in [
        (
            APP,
            "SELECT id FROM documents WHERE json_extract(body, '$.owner') = ?1",
            "CREATE INDEX by_documents_owner ON documents (json_extract(body, '$.owner'))",
        ),
        (
            APP,
            "SELECT d.id FROM documents AS d WHERE d.collection_id = ?1 AND json_extract(d.body, '$.owner') = ?2",
            // An index of a table WITHOUT ROWID ends in its key, so collection_id is in it.
            "CREATE INDEX by_documents_owner ON documents (json_extract(body, '$.owner'))",
        ),
        (
            APP,
            "SELECT d.id FROM documents d WHERE d.collection_id = ?1 AND d.body ->> '$.age' > ?2",
            "CREATE INDEX by_documents_collection_id_age ON documents (collection_id, (body ->> '$.age'))",
        ),
        (
            APP,
            "SELECT id FROM documents WHERE collection_id = 1 ORDER BY updated_at DESC LIMIT 10",
            "CREATE INDEX by_documents_collection_id_updated_at ON documents (collection_id, updated_at DESC)",
        ),
        (
            EVENTS,
            "SELECT seq FROM events WHERE request_id = 'abc'",
            "CREATE INDEX by_events_request_id ON events (request_id)",
        ),
        (
            EVENTS,
            "SELECT seq FROM events WHERE path = ? AND ts >= ? ORDER BY ts",
            "CREATE INDEX by_events_path_ts ON events (path, ts)",
        ),
        (
            EVENTS,
            "UPDATE events SET severity = 1 WHERE user_id = ?",
            "CREATE INDEX by_events_user_id ON events (user_id)",
        ),
    ] {
        let (advice, after) = advised(schema, sql);
        assert_eq!(advice.index.as_deref(), Some(index), "{sql}: {advice:?}");
        let name = index.split(' ').nth(2).expect("a name");
        assert!(after.uses(name), "{sql}: {after:?}");
        assert!(advice.reason.contains(name), "{advice:?}");
    }
}

#[test]
fn where_none_helps_that_is_said() {
    for (schema, sql) in [
        (APP, "SELECT count(*) FROM documents WHERE body LIKE '%milk%'"),
        (APP, "SELECT body FROM documents WHERE collection_id = ? AND id = ?"),
        (
            EVENTS,
            "SELECT ts, seq FROM events WHERE type = ? AND severity = ? ORDER BY ts DESC, seq DESC LIMIT ?",
        ),
        (EVENTS, "SELECT 1"),
        (
            "CREATE VIRTUAL TABLE words USING fts5(text)",
            "SELECT text FROM words WHERE words MATCH 'milk'",
        ),
    ] {
        let (advice, _) = advised(schema, sql);
        assert_eq!(advice.index, None, "{sql}: {advice:?}");
        assert!(!advice.reason.is_empty());
    }
}

#[test]
fn the_plan_is_told_with_the_rows_that_were_read() {
    let (advice, _) = advised(EVENTS, "SELECT message FROM events WHERE message > 'a' ORDER BY path");
    assert_eq!(
        advice.words,
        "Reads every row of events (about 120,000), then sorts them."
    );
}
