//! Clients that leave.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::json;

use crate::common::eventually;
use crate::common::work::{all_documents, all_events, stats};
use crate::{ERRORS, NOTES, started};

#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing() {
    let (server, client) = started();
    let before = stats(&client)["requests"]["total"].as_u64().expect("a count");
    let event = json!({ "message": "cut", "source": "faults" });
    let whole = [
        (NOTES, "application/json", json!({ "marker": "cut" }).to_string()),
        (ERRORS, "application/json", event.to_string()),
        (ERRORS, "application/x-ndjson", format!("{event}\n").repeat(20)),
    ];
    for (path, kind, body) in &whole {
        let mut stream = TcpStream::connect(server.url("").replace("http://", "")).expect("connects");
        // What came is valid as it is; only the announced length tells that it isn't whole.
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 4000\r\n\r\n");
        stream
            .write_all(format!("{head}{body:<1000}").as_bytes())
            .expect("sent");
        eventually("it is under way", || {
            (stats(&client)["requests"]["inFlight"] == 2).then_some(())
        });
        stream.shutdown(Shutdown::Both).expect("gone");
        eventually("it has ended", || {
            (stats(&client)["requests"]["inFlight"] == 1).then_some(())
        });
    }
    let after = stats(&client);
    assert!(
        after["requests"]["total"].as_u64() >= Some(before + whole.len() as u64),
        "{after}"
    );
    assert_eq!(after["ledger"]["accepted"], 0, "{after}");
    assert!(all_documents(&client, "notes").is_empty());
    assert!(all_events(&client).is_empty());
}
