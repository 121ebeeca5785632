//! No file and no connection can be opened any more.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

use crate::common::work::{all_documents, assert_once, await_breaker, member};
use crate::common::{Server, eventually};
use crate::{assert_refused, create, created, numbered, one_document, settings, until_well, with_notes};

/// Descriptors that the server may still open, and connections that take them.
const SPARE: u64 = 16;
const IDLE: usize = 100;
/// Silent connections would be let go before a reader is missed.
const THEY_STAY: (&str, &str) = ("ROCKET_KEEP_ALIVE", "3600");

fn descriptors(server: &Server) -> BTreeSet<u64> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("descriptors");
    open.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Takes every descriptor of the server: few more are allowed, and idle connections take them.
fn exhaust(server: &Server) -> Vec<TcpStream> {
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    // What is open above stays open.
    let allowed = descriptors(server).len() as u64 + SPARE;
    let limit = Rlimit {
        current: Some(allowed),
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    rustix::process::prlimit(pid, Resource::Nofile, limit).expect("set");
    let address = server.url("").replace("http://", "");
    let connect = |_| TcpStream::connect(&address).expect("in the queue, at least");
    let idle = (0..IDLE).map(connect).collect();
    eventually("every descriptor is taken", || {
        let open = descriptors(server);
        (0..allowed).all(|number| open.contains(&number)).then_some(())
    });
    idle
}

#[test]
fn fault_20_without_descriptors_open_connections_keep_serving() {
    let server = Server::start(&settings(&[THEY_STAY, ("DB_POOL_MAX", "4"), ("DB_POOL_MIN", "1")]));
    let client = with_notes(&server);
    let document = one_document(&client);
    let idle = exhaust(&server);
    let mut documents = Vec::new();
    for number in 0..50 {
        client.get(&document).expect(200);
        documents.extend(created(&client, [format!("within {number}")]));
    }
    // Nobody who was not connected before gets through, until there is room.
    drop(idle);
    let other = server.client();
    documents.extend(created(&other, numbered("after", 5)));
    until_well(&other);
    assert_once(
        "documents",
        &documents,
        &member(&all_documents(&other, "notes"), "marker"),
    );
}

#[test]
fn fault_20_a_reader_that_cannot_be_opened_is_temporarily_unavailable_and_comes_back_unaided() {
    // Connections live for a second, so that new ones are needed.
    let server = Server::start(&settings(&[
        THEY_STAY,
        ("DB_POOL_MAX", "4"),
        ("DB_POOL_MIN", "1"),
        ("DB_MAX_LIFETIME", "1"),
    ]));
    let client = with_notes(&server);
    let document = one_document(&client);
    let idle = exhaust(&server);
    let refused = eventually("a read finds no connection", || {
        // As long as there is one it serves.
        std::thread::sleep(Duration::from_millis(20));
        Some(client.get(&document)).filter(|answer| answer.status != 200)
    });
    assert_refused(refused, &["database_unavailable"]);
    client.get("/livez").expect(200);
    drop(idle);
    await_breaker(&client, "app.read", "CLOSED");
    await_breaker(&client, "app.write", "CLOSED");
    eventually("it reads again", || (client.get(&document).status == 200).then_some(()));
    until_well(&client);
    create(&client, "after").expect(201);
}
