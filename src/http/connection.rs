//! The connection that a request came on (floor 5): whether it is still there, and how an answer that can't be completed is
//! cut off.
//!
//! A body that fails half way would otherwise end like one that is complete, because Rocket's bodies can't say more than
//! that they are over. What must stay true: only the connection of this very client is ever shut. Used by handlers that
//! stream.

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};

use rocket::request::{FromRequest, Outcome, Request};
use rustix::net::{Shutdown, getpeername, shutdown};

use super::problem::Problem;

/// The connection, by its other end.
pub struct Connection(Option<SocketAddr>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Connection {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        Outcome::Success(Self(request.remote()))
    }
}

impl Connection {
    /// Whether the client is still there; `true` where that can't be told.
    pub async fn is_there(&self) -> bool {
        let Some(peer) = self.0 else { return true };
        let found = tokio::task::spawn_blocking(move || of_process().any(|fd| leads_to(fd, peer)));
        found.await.unwrap_or(true)
    }

    /// Ends it at once: what was sent arrives, and the client sees that it is not all.
    pub async fn cut(&self) {
        let Some(peer) = self.0 else { return };
        let cut = move || of_process().filter(|fd| leads_to(*fd, peer)).for_each(shut);
        // A thread that can't be had leaves the connection as it is.
        let _ = tokio::task::spawn_blocking(cut).await;
    }
}

/// The numbers of what this process has open; none where the system doesn't list them.
fn of_process() -> impl Iterator<Item = RawFd> {
    let listed = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether it is a socket whose other end is there. One that was closed or is something else is not.
fn leads_to(fd: RawFd, peer: SocketAddr) -> bool {
    // SAFETY: it lives for the call alone, which changes nothing and fails for what isn't a connected socket by now.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let other_end = getpeername(fd).ok().flatten();
    other_end.and_then(|end| SocketAddr::try_from(end).ok()) == Some(peer)
}

fn shut(fd: RawFd) {
    // SAFETY: it lives for the call alone, which leaves the number open and does nothing to what isn't a socket.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // One that is gone already needs no end.
    let _ = shutdown(fd, Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair(listener: &TcpListener) -> (TcpStream, TcpStream, Connection) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        (client, server, Connection(Some(peer)))
    }

    #[rocket::async_test]
    async fn one_is_cut_after_what_was_sent_and_the_others_go_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut one, mut to_one, connection) = pair(&listener);
        let (mut other, mut to_other, _) = pair(&listener);
        to_one.write_all(b"begun").unwrap();
        assert!(connection.is_there().await);
        connection.cut().await;
        let mut got = String::new();
        one.read_to_string(&mut got).unwrap();
        assert_eq!(got, "begun");
        to_other.write_all(b"whole").unwrap();
        drop(to_other);
        other.read_to_string(&mut got).unwrap();
        assert_eq!(got, "begunwhole");
        drop(to_one);
        assert!(!connection.is_there().await);
    }
}
