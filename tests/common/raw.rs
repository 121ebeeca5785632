//! Requests byte by byte, for what no client library would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Answer, PATIENCE};

/// Sends one request on a connection of its own. `Host: localhost` and a length are added unless they are given; with
/// `Transfer-Encoding: chunked` the body goes in chunks.
#[track_caller]
pub fn ask(base: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !has("Host") {
        request += "Host: localhost\r\n";
    }
    let mut bytes;
    if has("Transfer-Encoding") {
        bytes = (request + "\r\n").into_bytes();
        for chunk in body.chunks(8 << 10) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes = format!("{request}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
    }
    exchange(base, &bytes).unwrap_or_else(|| panic!("{method} {target}: no answer"))
}

/// Sends these bytes and reads to the end; `None` when no whole head came back.
pub fn exchange(base: &str, bytes: &[u8]) -> Option<Answer> {
    let address = base.strip_prefix("http://").expect("an http address");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut writing = stream.try_clone().ok()?;
    let bytes = bytes.to_vec();
    // The server may answer before it has read all, so writing must not hold reading up, and may fail.
    let writer = std::thread::spawn(move || writing.write_all(&bytes).is_ok());
    let mut got = Vec::new();
    // A reset after the answer is no loss: what was read stays read.
    let _ = stream.read_to_end(&mut got);
    let _ = writer.join();
    parse(&got)
}

fn parse(got: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(got);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Some(Answer {
        status,
        headers: lines.filter_map(header).collect(),
        text: body.to_owned(),
    })
}
