//! The real binary under test: each server has a folder and a port of its own, and ends with its test.
//!
//! What must stay true: nothing sleeps for a fixed time where it can wait for a condition ([`eventually`]); a server
//! that outlives its test is killed when the test's handle is dropped.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

pub mod work;

pub mod raw;

pub mod source;

pub mod transfer;

pub mod trouble;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that a condition is waited for: far more than it takes, so that only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tests report more events of one group than people do, and judge "exactly once" by the rows.
const KEEPS_ALL: (&str, &str) = ("MAINSTAY_INGEST_PER_GROUP_PER_MINUTE", "1000000");

/// Waits until `probe` gives something.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// An HTTP client that takes every status as an answer.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .build();
        Self {
            agent: config.into(),
            base: base.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same client with a header on every request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// Sends; `None` when the connection failed.
    pub fn try_send(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Option<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some((content_type, _)) = body {
            request = request.header("Content-Type", content_type);
        }
        let request = request.body(body.map_or(&[][..], |(_, body)| body)).expect("a request");
        let mut response = self.agent.run(request).ok()?;
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap_or("").to_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string()
            .ok()?;
        Some(Answer { status, headers, text })
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Answer {
        self.try_send(method, path, body)
            .unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(("application/json", body.to_string().as_bytes())))
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some(("application/json", body.to_string().as_bytes())))
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(("application/json", body.to_string().as_bytes())))
    }
}

/// The binary with a clean environment: nothing of the developer's own settings reaches it.
pub fn mainstay(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// The same, bound by the permissions of files even where the tests run as root; takes util-linux there.
pub fn bound_by_permissions(folder: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return mainstay(folder);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .args([
            "--bounding-set=-dac_override,-dac_read_search",
            env!("CARGO_BIN_EXE_mainstay"),
        ])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// A running server.
pub struct Server {
    program: fn(&Path) -> Command,
    child: Option<Child>,
    /// Kept open, so that it can finish its lines.
    lines: Option<BufReader<ChildStdout>>,
    base: String,
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
    settings: Vec<(String, String)>,
}

impl Server {
    /// Starts in a new folder on a free port with these settings, and waits until it listens.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_by(mainstay, settings)
    }

    /// The same by another command, which says like the binary where it listens.
    pub fn start_by(program: fn(&Path) -> Command, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Self {
            program,
            child: None,
            lines: None,
            base: String::new(),
            path: folder.path().to_owned(),
            folder: Some(folder),
            settings: [KEEPS_ALL]
                .iter()
                .chain(settings)
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        };
        server.restart();
        server
    }

    /// Starts again on the same folder, after [`Server::kill`] or [`Server::stop`].
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path.join("stderr.txt"))
            .expect("a log");
        let mut child = (self.program)(&self.path)
            .env("ROCKET_PORT", "0")
            .envs(self.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        self.child = Some(child);
        let told = lines
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.trim().split_once("listens on ").map(|(_, url)| url.to_owned()));
        self.lines = Some(lines);
        self.base = told.unwrap_or_else(|| panic!("it did not start: {}", self.log()));
    }

    /// A setting for the next [`Server::restart`].
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path.join("stderr.txt")).unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn folder(&self) -> &Path {
        &self.path
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What `mainstay token` with these arguments says in its folder.
    #[track_caller]
    pub fn token(&self, arguments: &[&str]) -> String {
        let run = mainstay(self.folder())
            .arg("token")
            .args(arguments)
            .output()
            .expect("it runs");
        assert!(
            run.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8(run.stdout).expect("text").trim().to_owned()
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// A signal by number: 15 is SIGTERM, 2 is SIGINT.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        eventually("the end of the server", || child.try_wait().expect("waited"))
    }

    /// A connection of another party to one of its files: `app.db` or `events.db`.
    pub fn other_party(&self, file: &str) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.data_dir().join(file)).expect("opens");
        connection.busy_timeout(PATIENCE).expect("set");
        connection
    }

    /// Holds the write lock of one of its files until the guard is dropped.
    pub fn hold_write_lock(&self, file: &str) -> WriteLock {
        let connection = self.other_party(file);
        connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
        WriteLock(connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
        self.kill();
        drop(self.folder.take());
    }
}

/// A server with the collection `notes`.
pub fn with_notes() -> (Server, Client) {
    let server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &serde_json::json!({})).expect(201);
    (server, client)
}

/// A held write lock.
pub struct WriteLock(rusqlite::Connection);

impl WriteLock {
    pub fn release(self) {}
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").expect("released");
    }
}

/// Settings short enough for tests, long enough to mean something.
pub const SHORT: &[(&str, &str)] = &[
    ("DB_LOCK_TIMEOUT_MS", "100"),
    ("DB_OPERATION_TIMEOUT_MS", "1000"),
    ("DB_RETRY_DELAY_MS", "50"),
    ("DB_BREAKER_TIMEOUT_MS", "1000"),
    ("DB_HEALTH_INTERVAL", "1"),
];
