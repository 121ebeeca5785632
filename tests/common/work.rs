//! What the scenarios do over and over: many clients at once, another process that holds a lock, and the comparison
//! of what was acknowledged with what is there.
//!
//! What must stay true: "exactly once" is judged on whole lists that were paged through to their end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{Client, Server, eventually};

/// Runs `work` on as many threads, each with its number; the results are in their order.
pub fn in_parallel<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}

fn paged(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = client.get(&next).expect(200).json();
        all.extend(page[member].as_array().expect("a list").iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else {
            return all;
        };
        next = format!("{path}&cursor={cursor}");
    }
}

/// Every document of a collection.
pub fn all_documents(client: &Client, collection: &str) -> Vec<Value> {
    paged(client, &format!("/api/data/{collection}?limit=500"), "items")
}

/// Every error event.
pub fn all_events(client: &Client) -> Vec<Value> {
    paged(client, "/api/monitoring/errors?limit=500", "errors")
}

/// One string member of each.
pub fn member(list: &[Value], name: &str) -> Vec<String> {
    list.iter()
        .map(|one| one[name].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Each of the acknowledged is found, and nothing is found twice.
#[track_caller]
pub fn assert_once(what: &str, acknowledged: &[String], found: &[String]) {
    let mut times = BTreeMap::new();
    for one in found {
        *times.entry(one.as_str()).or_insert(0_u32) += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{what} that are there more than once: {twice:?}");
    let lost: BTreeSet<_> = acknowledged
        .iter()
        .filter(|one| !times.contains_key(one.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged {what} are lost: {:?}",
        lost.len(),
        acknowledged.len(),
        lost.iter().take(5).collect::<Vec<_>>()
    );
}

/// What the API shows of a breaker.
pub fn breaker(client: &Client, name: &str) -> Value {
    let shown = client.get("/api/monitoring/circuit-breaker").expect(200).json();
    let all = shown["circuitBreakers"].as_array().expect("breakers");
    all.iter().find(|one| one["name"] == name).expect("it is there").clone()
}

/// Waits until a breaker is in a state.
pub fn await_breaker(client: &Client, name: &str, state: &str) -> Value {
    eventually(&format!("{name} is {state}"), || {
        Some(breaker(client, name)).filter(|seen| seen["state"] == state)
    })
}

/// The statistics.
pub fn stats(client: &Client) -> Value {
    client.get("/api/monitoring/stats").expect(200).json()
}

/// Waits until nothing waits in the spool or is on its way; gives the ledger, which must balance.
pub fn await_empty_spool(client: &Client) -> Value {
    let ledger = eventually("the spool is empty", || {
        let seen = stats(client)["ledger"].clone();
        assert_eq!(seen["balanced"], true, "{seen}");
        Some(seen).filter(|seen| seen["spooled"] == 0 && seen["inFlight"] == 0)
    });
    assert!(
        ledger["dropped"]
            .as_object()
            .expect("reasons")
            .values()
            .all(|count| *count == 0),
        "{ledger}"
    );
    ledger
}

const HOLD: &str = "MAINSTAY_TEST_HOLD";
const HOLD_WITH: &str = "MAINSTAY_TEST_HOLD_WITH";
const WRITE_LOCK: &str = "BEGIN IMMEDIATE";

/// For [`OtherProcess::hold_with`]: holds the write lock for 5 ms, again and again, with hardly a break.
pub const IN_TURNS: &str = "in turns";

fn take_turns(connection: &rusqlite::Connection) {
    let told = std::thread::spawn(|| std::io::stdin().read_line(&mut String::new()));
    println!("\nholding");
    while !told.is_finished() {
        connection.execute_batch(WRITE_LOCK).expect("locked");
        std::thread::sleep(std::time::Duration::from_millis(5));
        connection.execute_batch("ROLLBACK").expect("released");
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// The other process: a test binary declares an ignored test named `the_other_process` that calls this.
pub fn be_the_other_process() {
    let Some(path) = std::env::var_os(HOLD).map(PathBuf::from) else {
        println!("started by the tests that need another process; alone it has nothing to do");
        return;
    };
    let connection = rusqlite::Connection::open(path).expect("opens");
    connection
        .busy_timeout(std::time::Duration::from_secs(30))
        .expect("set");
    let with = std::env::var(HOLD_WITH).expect("set together");
    if with == IN_TURNS {
        return take_turns(&connection);
    }
    connection.execute_batch(&with).expect("locked");
    println!("\nholding");
    // Until it is told, or whoever started it is gone.
    let _ = std::io::stdin().read_line(&mut String::new());
    connection.execute_batch("ROLLBACK").expect("released");
}

/// Another process that holds the write lock of a file until it is released or dropped.
pub struct OtherProcess {
    child: Child,
    /// Kept open, so that it can finish its lines.
    _lines: BufReader<ChildStdout>,
}

impl OtherProcess {
    /// Starts it, and waits until it has the lock.
    pub fn hold(server: &Server, file: &str) -> Self {
        Self::hold_with(server, file, WRITE_LOCK)
    }

    /// Another process that begins a transaction with these statements, and keeps it until it is released or dropped.
    pub fn hold_with(server: &Server, file: &str, statements: &str) -> Self {
        Self::hold_path(&server.data_dir().join(file), statements)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The same for a file by its path.
    pub fn hold_path(path: &Path, statements: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                "the_other_process",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(HOLD, path)
            .env(HOLD_WITH, statements)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let holds = lines
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "holding");
        let other = Self { child, _lines: lines };
        assert!(holds, "the other process did not get the lock");
        other
    }

    /// Lets the lock go.
    pub fn release(mut self) {
        let mut told = self.child.stdin.take().expect("piped");
        told.write_all(b"\n").expect("told");
        drop(told);
        self.child.wait().expect("ended");
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // It has ended already where it was released.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
