//! Tests of the answers to reports: shapes, and what becomes of a batch.

use super::*;

fn answer(ids: &[Option<Uuid>], outcomes: Vec<IngestOutcome>, flaws: usize) -> ApiResult<serde_json::Value> {
    let flaws = vec![vec![FieldError::new("/message", "is required")]; flaws];
    batch_answer(ids, outcomes, flaws).map(|answer| serde_json::to_value(answer).unwrap())
}

const LATER: IngestOutcome = IngestOutcome::NotAccepted {
    retry_after: Duration::from_millis(1200),
};

#[test]
fn every_item_has_its_answer() {
    let ids = [1, 2, 3].map(Uuid::from_u128);
    let items = [Some(ids[0]), None, Some(ids[1]), Some(ids[2])];
    let outcomes = vec![IngestOutcome::Stored { group_id: 1 }, IngestOutcome::Duplicate, LATER];
    let wire = answer(&items, outcomes, 1).unwrap();
    assert_eq!(
        (&wire["accepted"], &wire["rejected"], &wire["duplicates"]),
        (&1.into(), &2.into(), &1.into())
    );
    assert_eq!(wire["results"][0], serde_json::json!({ "index": 0, "id": ids[0] }));
    let wrong = serde_json::json!({ "index": 1, "errors": [{ "pointer": "/message", "detail": "is required" }] });
    assert_eq!(wire["results"][1], wrong);
    assert_eq!(wire["results"][2]["duplicate"], true);
    assert_eq!(
        wire["results"][3]["errors"][0]["detail"],
        "could not be stored; send it again after 2 s"
    );
    assert!(wire.get("stored").is_none());
}

#[test]
fn the_spool_is_told() {
    let wire = answer(&[Some(Uuid::nil())], vec![IngestOutcome::Spooled], 0).unwrap();
    assert_eq!(
        (&wire["stored"], &wire["results"][0]["stored"]),
        (&"spool".into(), &"spool".into())
    );
}

#[test]
fn only_when_nothing_could_be_kept_the_whole_is_refused() {
    let problem = answer(&[Some(Uuid::nil()), None], vec![LATER], 1).unwrap_err();
    assert_eq!((problem.code, problem.retry_after), (Code::EventsNotAccepted, Some(2)));
    let empty = answer(&[], vec![], 0).unwrap();
    assert_eq!(
        empty,
        serde_json::json!({ "accepted": 0, "rejected": 0, "duplicates": 0, "results": [] })
    );
    assert_eq!(answer(&[None], vec![], 1).unwrap()["rejected"], 1);
}
