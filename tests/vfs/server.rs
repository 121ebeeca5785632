//! The real server on the breaking storage: the test binary runs itself again as the server, and takes its orders about
//! faults on a socket beside the data.
//!
//! What must stay true: what serves is the program's own command line, with nothing replaced but SQLite's storage and
//! allocator; each order is answered after it is in force. A test binary that uses this declares an ignored test named
//! `the_faulty_server` that calls [`be_the_server`].

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

use super::{Armed, Call, Effect, Fault, arm, install, memory};
use crate::common::{Server, eventually};

const CONTROL: &str = "FAULTS_CONTROL";
const SOCKET: &str = "control";

#[derive(Serialize, Deserialize)]
enum Order {
    Arm(u64, Fault),
    Look(u64),
    Lift(u64),
    RunOutOfMemory(u64, u64),
    Recover,
}

/// Calls seen and broken, or allocations asked for and failed.
type Counts = (u64, u64);

/// What `the_faulty_server` calls.
pub fn be_the_server() {
    let Some(path) = std::env::var_os(CONTROL) else {
        println!("started by the tests that need it; alone it has nothing to do");
        return;
    };
    install();
    // A killed predecessor leaves its socket behind.
    let _ = std::fs::remove_file(&path);
    let orders = UnixListener::bind(&path).expect("a socket");
    std::thread::spawn(move || {
        let mut armed = BTreeMap::new();
        for stream in orders.incoming().flatten() {
            obey(&stream, &mut armed);
        }
    });
    let ended = mainstay::cli::run_with(["mainstay".into(), "serve".into()]);
    assert_eq!(ended, ExitCode::SUCCESS);
}

fn obey(mut stream: &UnixStream, armed: &mut BTreeMap<u64, Armed>) {
    let orders = BufReader::new(stream.try_clone().expect("a handle")).lines();
    for order in orders.map_while(Result::ok) {
        let counts: Counts = match serde_json::from_str(&order).expect("an order") {
            Order::Arm(id, fault) => {
                armed.insert(id, arm(fault));
                (0, 0)
            }
            Order::Look(id) => armed.get(&id).map_or((0, 0), |one| (one.seen(), one.hits())),
            Order::Lift(id) => armed.remove(&id).map_or((0, 0), |one| (one.seen(), one.hits())),
            Order::RunOutOfMemory(from, times) => {
                memory::run_out(from, times);
                (0, 0)
            }
            Order::Recover => memory::recover(),
        };
        let answer = serde_json::to_string(&counts).expect("numbers");
        // Whoever asked may be gone.
        let _ = writeln!(stream, "{answer}");
    }
}

fn this_test_as_server(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "--exact",
            "the_faulty_server",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .current_dir(folder)
        .env_clear()
        .env(CONTROL, folder.join(SOCKET))
        .stdin(Stdio::null());
    command
}

/// A running server whose storage breaks on command.
pub struct FaultyServer {
    server: Server,
    next_id: u64,
}

/// A fault in the server, for [`FaultyServer::look`] and [`FaultyServer::lift`].
#[derive(Clone, Copy)]
pub struct Ordered(u64);

impl FaultyServer {
    /// Starts in a new folder on a free port.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self {
            server: Server::start_by(this_test_as_server, settings),
            next_id: 0,
        }
    }

    fn order(&self, order: &Order) -> Counts {
        let path = self.folder().join(SOCKET);
        let mut stream = eventually("the server takes orders", || UnixStream::connect(&path).ok());
        let order = serde_json::to_string(order).expect("an order");
        writeln!(stream, "{order}").expect("told");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("an answer");
        serde_json::from_str(&answer).expect("counts")
    }

    /// Puts a fault in force.
    pub fn arm(&mut self, fault: Fault) -> Ordered {
        self.next_id += 1;
        self.order(&Order::Arm(self.next_id, fault));
        Ordered(self.next_id)
    }

    /// A fault of these calls to the files of the data folder whose names end with `suffix`, until it is lifted.
    pub fn lasting(&mut self, calls: &[Call], suffix: &str, effect: Effect) -> Ordered {
        let folder = self.data_dir().canonicalize().expect("a folder");
        self.arm(Fault::lasting(calls, &folder, suffix, effect))
    }

    /// Calls that it was about, and calls that it broke.
    pub fn look(&self, fault: Ordered) -> Counts {
        self.order(&Order::Look(fault.0))
    }

    /// Ends it; whoever hangs goes on.
    pub fn lift(&self, fault: Ordered) -> Counts {
        self.order(&Order::Lift(fault.0))
    }

    /// Lets `times` of SQLite's allocations fail from number `from` on.
    pub fn run_out_of_memory(&self, from: u64, times: u64) {
        self.order(&Order::RunOutOfMemory(from, times));
    }

    /// There is memory again; allocations asked for and failed since.
    pub fn recover_memory(&self) -> Counts {
        self.order(&Order::Recover)
    }
}

impl Deref for FaultyServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for FaultyServer {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
