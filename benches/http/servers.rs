//! The two servers as child processes, each on a free port of 127.0.0.1.
//!
//! What must stay true: a server ends when its handle is dropped, by its own process id, on a panic too.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::baseline;

/// A running server.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Running {
    /// The real binary with its default settings, save that no flood of events is thinned or refused; its files are in
    /// `folder`.
    pub fn mainstay(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.current_dir(folder).env_clear().env("ROCKET_PORT", "0");
        for limit in ["SOURCE", "GROUP"] {
            command.env(format!("MAINSTAY_INGEST_PER_{limit}_PER_MINUTE"), "1000000000");
        }
        Self::start(command)
    }

    /// The empty routes, answering with bodies of these sizes in bytes.
    pub fn baseline(sizes: [usize; 3]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        let [read, event, created] = sizes;
        command
            .env_clear()
            .env(baseline::SIZES, format!("{read},{event},{created}"));
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut running = Self {
            child: child.spawn().expect("started"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut line = String::new();
        let output = running.child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let told = line.trim().split_once("listens on http://").map(|(_, address)| address);
        running.address = told
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("not started: {line:?}"));
        running
    }

    /// The bytes of a request to it.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let content = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        let host = self.address;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n{content}\r\n{body}")
            .into_bytes()
    }

    /// The processor time it has used so far, in seconds, where the system says it.
    pub fn processor_seconds(&self) -> Option<f64> {
        const TICKS_A_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name of the program, in brackets, may hold blanks; user and system time are the 12th and 13th after it.
        let mut ticks = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let (user, system): (f64, f64) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
        Some((user + system) / TICKS_A_SECOND)
    }

    /// Its resident memory in MiB; `?` where the system doesn't say.
    pub fn resident_mib(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = kib.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.map_or_else(|| "?".to_owned(), |kib| format!("{:.1}", kib / 1024.0))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
