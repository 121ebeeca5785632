//! Pages of a collection, and the plans of the statements behind them.
use super::*;
use crate::db::classify::Told;
use crate::db::{DbError, ErrorKind};

fn ids(page: &DocumentPage) -> Vec<String> {
    let items: Vec<Value> = serde_json::from_str(&page.items_json).unwrap();
    items.iter().map(|d| d["id"].as_str().unwrap().to_owned()).collect()
}

fn page(db: &Connection, after: Option<&Cursor>, limit: u32) -> DocumentPage {
    list(db, &key("x").collection, after, limit).unwrap().unwrap()
}

#[test]
fn an_empty_collection_is_an_empty_page() {
    assert_eq!(
        page(&notes(), None, 9),
        DocumentPage {
            items_json: "[]".into(),
            next: None,
            damaged: Vec::new(),
        }
    );
}

#[test]
fn pages_stay_in_step_while_documents_come_and_go() {
    let db = notes();
    for n in 10..16 {
        create(&db, &key(&format!("d{n}")), &body(json!({"n": n})), T1)
            .unwrap()
            .unwrap();
    }
    let first = page(&db, None, 2);
    assert_eq!(ids(&first), ["d10", "d11"]);
    delete(&db, &key("d11"), &Conditions::default()).unwrap().unwrap();
    delete(&db, &key("d12"), &Conditions::default()).unwrap().unwrap();
    create(&db, &key("d05"), &body(json!({})), T2).unwrap().unwrap();
    create(&db, &key("d135"), &body(json!({})), T2).unwrap().unwrap();
    let second = page(&db, first.next.as_ref(), 2);
    assert_eq!(ids(&second), ["d13", "d135"]);
    let third = page(&db, second.next.as_ref(), 2);
    assert_eq!(
        (ids(&third), third.next),
        (vec!["d14".to_owned(), "d15".to_owned()], None)
    );
    assert_eq!(counted(&db), 6);
}

#[test]
fn a_page_of_large_documents_ends_early_and_goes_on() {
    let db = notes();
    let large = "x".repeat(1_000_000);
    for n in 0..6 {
        create(&db, &key(&format!("d{n}")), &body(json!({"t": large})), T1)
            .unwrap()
            .unwrap();
    }
    let first = page(&db, None, 500);
    assert_eq!(ids(&first), ["d0", "d1", "d2", "d3", "d4"]);
    let second = page(&db, first.next.as_ref(), 500);
    assert_eq!((ids(&second), second.next), (vec!["d5".to_owned()], None));
}

#[test]
fn lists_and_reads_are_searched_and_never_sorted() {
    let db = notes();
    for sql in [
        include_str!("../../sql/document_list.sql"),
        include_str!("../../sql/document_get.sql"),
        include_str!("../../sql/document_find.sql"),
    ] {
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for n in 1..=plan.parameter_count() {
            plan.raw_bind_parameter(n, n as i64).unwrap();
        }
        let mut rows = plan.raw_query();
        let mut steps = 0;
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            assert!(step.starts_with("SEARCH"), "{step} in {sql}");
            steps += 1;
        }
        assert_eq!(steps, 2);
    }
}

#[test]
fn a_damaged_body_is_told_and_takes_no_other_with_it() {
    let db = notes();
    for id in ["a", "b", "c", "d"] {
        create(&db, &key(id), &body(json!({ "n": 1 })), T1).unwrap().unwrap();
    }
    db.execute_batch(
        "PRAGMA ignore_check_constraints = ON;
         UPDATE documents SET body = CAST(x'7b22ff223a317d' AS TEXT) WHERE id = 'a';
         UPDATE documents SET body = '{\"n\":' WHERE id = 'c';",
    )
    .unwrap();
    let page = list(&db, &CollectionName::parse("notes").unwrap(), None, 10)
        .unwrap()
        .unwrap();
    assert_eq!(page.damaged, ["a", "c"]);
    assert_eq!(ids(&page), ["b", "d"]);
    for id in ["a", "c"] {
        let read = get(&db, &key(id)).expect_err("damaged");
        let patched =
            patch(&db, &key(id), &object(json!({ "m": 2 })), &Conditions::default(), T2).expect_err("damaged");
        for error in [read, patched] {
            let told = DbError::from_sqlite("app", "documents.get", &error);
            assert_eq!(
                (&told.kind, told.told()),
                (&ErrorKind::DamagedValue, Told::DataProblem),
                "{error}"
            );
        }
        put(&db, &key(id), &body(json!({ "n": 2 })), &Conditions::default(), T2)
            .unwrap()
            .unwrap();
    }
    assert_eq!(read(&db, "a")["n"], 2);
}
