//! The readers through the front door: their limits, and what runs.

mod common;

use common::Server;
use serde_json::json;

const POOL: &str = "/api/monitoring/pool";
const ACTIVE: &str = "/api/monitoring/queries/active";

#[test]
fn limits_are_changed_while_it_runs_and_nonsense_changes_nothing() {
    let server = Server::start(&[]);
    let client = server.client();
    let before = client.get(POOL).expect(200).json();
    assert_eq!(before["pools"]["app"]["adaptive"], true);
    for (body, pointer) in [
        (json!({ "limit": 0 }), "/limit"),
        (json!({ "max": 51 }), "/max"),
        (json!({ "min": 20, "max": 10 }), "/min"),
        (json!({ "limit": "many" }), "/limit"),
        (json!({ "database": "other", "limit": 3 }), "/database"),
        (json!({ "size": 3 }), "/size"),
        (json!({ "adaptive": 1 }), "/adaptive"),
        (json!({}), ""),
    ] {
        let refused = client.post(POOL, &body).expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let limits = |all: &serde_json::Value, name: &str| {
        let pool = &all["pools"][name];
        json!([
            pool["limit"],
            pool["min"],
            pool["max"],
            pool["adaptive"],
            pool["lastMove"]
        ])
    };
    let after = client.get(POOL).expect(200).json();
    assert_eq!(limits(&after, "app"), limits(&before, "app"));
    let change = json!({ "database": "app", "min": 2, "max": 30, "limit": 25 });
    let changed = client.post(POOL, &change).expect(200).json();
    assert_eq!(limits(&changed, "app"), json!([25, 2, 30, false, "set by hand"]));
    assert_eq!(limits(&changed, "events"), limits(&before, "events"));
    common::eventually("the change is an event", || {
        let events = client.get("/api/monitoring/errors").expect(200).json();
        events
            .to_string()
            .contains("the readers' limit of app was changed by hand: 25, from 2 to 30")
            .then_some(())
    });
}

#[test]
fn what_does_not_run_cannot_be_stopped() {
    let server = Server::start(&[]);
    let client = server.client();
    assert!(client.get(ACTIVE).expect(200).json()["operations"].is_array());
    for id in ["app-0-999999", "events-7-1", "other-1-1", "app", "app-x-y"] {
        client.post(&format!("{ACTIVE}/{id}/cancel"), &json!({})).expect(404);
    }
}
