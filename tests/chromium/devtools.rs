//! Chromium's DevTools protocol: one process, one WebSocket, one page; calls, and the faults that the page reports.
//!
//! What must stay true: the browser ends with its handle, and its profile goes with it; a fault that arrives between
//! two answers is kept.

use std::cell::{Cell, RefCell};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::common::eventually;

/// The longest that one call may take: a picture of a long page on a busy machine takes a second or two.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Where Debian, Ubuntu, Fedora, Alpine and macOS put it.
const NAMES: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// A page of a running Chromium.
pub struct DevTools {
    child: Child,
    socket: RefCell<WebSocket<TcpStream>>,
    session: String,
    calls: Cell<u64>,
    faults: RefCell<Vec<String>>,
    _profile: tempfile::TempDir,
}

impl DevTools {
    /// Starts Chromium with an empty page and a fresh profile.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let child = launch(profile.path());
        let socket = connect(profile.path());
        let mut devtools = Self {
            child,
            socket: RefCell::new(socket),
            session: String::new(),
            calls: Cell::new(0),
            faults: RefCell::default(),
            _profile: profile,
        };
        let target = devtools.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = devtools.call("Target.attachToTarget", attach);
        devtools.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            devtools.call(&format!("{domain}.enable"), json!({}));
        }
        devtools
    }

    /// One call and its result; the protocol's own refusals fail the test.
    #[track_caller]
    pub fn call(&self, method: &str, params: Value) -> Value {
        let id = self.calls.get() + 1;
        self.calls.set(id);
        let mut call = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        let mut socket = self.socket.borrow_mut();
        socket.send(Message::text(call.to_string())).expect("Chromium listens");
        loop {
            let message = socket.read().expect("Chromium answers");
            let Message::Text(text) = message else { continue };
            let mut said: Value = serde_json::from_str(&text).expect("JSON");
            if said["id"] == json!(id) {
                assert!(said.get("error").is_none(), "{method}: {said}");
                return said["result"].take();
            }
            self.faults.borrow_mut().extend(fault(&said));
        }
    }

    /// What went wrong in the page so far.
    pub fn faults(&self) -> Vec<String> {
        // Events travel in order with answers: whatever happened before this call is here when it returns.
        self.call("Runtime.evaluate", json!({"expression": "0"}));
        self.faults.borrow().clone()
    }
}

impl Drop for DevTools {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and nothing to complain about.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("CHROME") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let candidates = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = candidates.into_iter().find(|file| file.is_file());
    found.expect("Chromium is needed: install it (`apt-get install chromium`), or name it in CHROME")
}

fn launch(profile: &Path) -> Child {
    let log = std::fs::File::create(profile.join("stderr.txt")).expect("a log");
    Command::new(program())
        // A container's root can't use the sandbox, and /dev/shm is small there; only our own page is opened.
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
        ])
        .args([
            "--no-first-run",
            "--disable-extensions",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args([
            "--disable-background-networking",
            "--disable-quic",
            "--no-proxy-server",
            "--hide-scrollbars",
        ])
        .args(["--remote-debugging-port=0", "--window-size=1280,900", "--lang=en-GB"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("about:blank")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Chromium starts")
}

/// Chromium writes the port that it took, and the path of its WebSocket, into its profile.
fn connect(profile: &Path) -> WebSocket<TcpStream> {
    let file = profile.join("DevToolsActivePort");
    let (port, path) = eventually("Chromium's port", || {
        let text = std::fs::read_to_string(&file).ok()?;
        let (port, path) = text.split_once('\n')?;
        (path.len() > 30).then_some(())?;
        Some((port.parse::<u16>().ok()?, path.trim().to_owned()))
    });
    let stream = eventually("Chromium's port answers", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    stream.set_read_timeout(Some(CALL_LIMIT)).expect("set");
    let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream).expect("a WebSocket");
    socket
}

/// A fault of the page: an uncaught error, an error on the console, a breach of its own Content-Security-Policy.
/// An answer of 4xx or 5xx (source "network") is no fault of the page: it is shown to the person.
fn fault(said: &Value) -> Option<String> {
    let params = &said["params"];
    let faulty = match said["method"].as_str()? {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => params["type"] == "error" || params["type"] == "assert",
        "Log.entryAdded" => params["entry"]["level"] == "error" && params["entry"]["source"] != "network",
        _ => false,
    };
    faulty.then(|| params.to_string())
}
