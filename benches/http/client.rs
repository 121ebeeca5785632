//! The load: keep-alive HTTP/1.1 connections on one thread that send prepared bytes and read whole answers.
//!
//! What must stay true: as little work as possible for each request, because this thread shares the machine with the
//! server; an answer other than 2xx ends the benchmark, so that refusals are never measured as speed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rocket::tokio::io::{AsyncReadExt, AsyncWriteExt};
use rocket::tokio::net::TcpStream;
use rocket::tokio::task::JoinSet;

/// A server and one request for each connection to it.
pub struct Target {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
}

/// What one round gave.
pub struct Load {
    pub per_second: f64,
    pub micros: Vec<u32>,
}

impl Target {
    pub fn new(address: SocketAddr, requests: Vec<Vec<u8>>) -> Self {
        Self { address, requests }
    }

    /// Every connection repeats its request until the time is over.
    pub async fn load(&self, lasting: Duration) -> Load {
        let mut connections = Vec::new();
        for request in &self.requests {
            connections.push((Connection::open(self.address).await, request.clone()));
        }
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for (mut connection, request) in connections {
            tasks.spawn(async move {
                let mut micros = Vec::with_capacity(8192);
                let mut asked = started;
                while asked - started < lasting {
                    connection.ask(&request).await;
                    let answered = Instant::now();
                    micros.push(u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX));
                    asked = answered;
                }
                micros
            });
        }
        let mut micros = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            micros.extend(ended.expect("a connection that works"));
        }
        let per_second = micros.len() as f64 / started.elapsed().as_secs_f64();
        Load { per_second, micros }
    }
}

/// The body of the answer to one request on a connection of its own.
pub async fn once(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut connection = Connection::open(address).await;
    let body = connection.ask(request).await;
    connection.received.split_off(body)
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        let received = Vec::with_capacity(4096);
        Self { stream, received }
    }

    /// Sends a request and reads its whole answer; gives where its body begins.
    async fn ask(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).await.expect("sent");
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received).await.expect("received");
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.received));
            let Some(head) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            let head = head + 4;
            if self.received.len() >= head + content_length(&self.received[..head]) {
                let is_fine = self.received.starts_with(b"HTTP/1.1 2");
                assert!(is_fine, "{}", String::from_utf8_lossy(&self.received));
                return head;
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let found = head
        .windows(NAME.len())
        .position(|bytes| bytes.eq_ignore_ascii_case(NAME));
    let digits = found.map(|at| head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit()));
    let digits = digits.expect("an answer with Content-Length");
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
