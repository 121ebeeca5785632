//! What the tests of export and import share: files of events, and imports as processes.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{Client, mainstay};

/// The export.
pub const EXPORT: &str = "/api/monitoring/errors/export";

/// A line of an event with an id of its own that follows from its number.
pub fn line(number: usize, bytes: usize) -> String {
    let id = format!("00000000-0000-7000-8000-{number:012x}");
    let event = json!({
        "id": id, "timestamp": time(number), "message": format!("event of file {number}"), "source": "file",
        "type": "api", "severity": "medium", "details": { "text": "x".repeat(bytes) }
    });
    format!("{event}\n")
}

/// One millisecond after the other, in the last hour.
fn time(number: usize) -> String {
    let began = std::time::SystemTime::now() - std::time::Duration::from_secs(3000);
    let since = began.duration_since(std::time::UNIX_EPOCH).expect("after the epoch");
    // Every run begins at a whole second.
    let at = jiff::Timestamp::from_second(since.as_secs().cast_signed()).expect("a time");
    (at + jiff::SignedDuration::from_millis(number as i64)).to_string()
}

/// A file of so many events, each with so many bytes in its details.
pub fn file(folder: &Path, name: &str, events: usize, bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("made"));
    for number in 0..events {
        file.write_all(line(number, bytes).as_bytes()).expect("written");
    }
    file.flush().expect("written");
    path
}

/// `mainstay errors import` in a folder.
pub fn import(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = mainstay(folder);
    command
        .args(["errors", "import"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same, run to its end.
#[track_caller]
pub fn imported(folder: &Path, arguments: &[&str]) -> Output {
    import(folder, arguments).output().expect("it runs")
}

/// Its code and what it wrote to standard output and standard error.
pub fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The lines of an export, once nothing is missing from it.
pub fn exported(client: &Client, filters: &str) -> Vec<Value> {
    let answer = super::eventually("nothing is pending", || {
        let answer = client.get(&format!("{EXPORT}{filters}")).expect(200);
        answer.header("Pending-Events").is_none().then_some(answer)
    });
    lines(&answer.text)
}

/// Each line as JSON.
pub fn lines(text: &str) -> Vec<Value> {
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(event).collect()
}

/// That the events of a file are there, each once: those of [`file`] with this many.
#[track_caller]
pub fn assert_all_once(client: &Client, events: usize) {
    let ids: Vec<String> = super::work::member(&exported(client, "?source=file"), "id");
    let expected: BTreeSet<String> = (0..events)
        .map(|number| format!("00000000-0000-7000-8000-{number:012x}"))
        .collect();
    let found: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!((ids.len(), &found), (events, &expected));
}
