//! The connection that a request came on (floor 5): whether it is still there, and how an answer that can't be completed is
//! cut off.
//!
//! A body that fails half way would otherwise end like one that is complete, because Rocket's bodies can't say more than
//! that they are over. What must stay true: only the connection of this very client is ever shut. Used by handlers that
//! stream, and by what lets go of silent connections.

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};

use rocket::request::{FromRequest, Outcome, Request};
use rustix::net::{Shutdown, getpeername, getsockname, shutdown};
use rustix::process::{Resource, getrlimit};

use super::problem::Problem;

/// Numbers that are tried at most where none are listed.
const MOST_TRIED: u64 = 1 << 20;

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
        let found = tokio::task::spawn_blocking(move || of_process().0.into_iter().any(|fd| leads_to(fd, peer)));
        found.await.unwrap_or(true)
    }

    /// Ends it at once: what was sent arrives, and the client sees that it is not all.
    pub async fn cut(&self) {
        let Some(peer) = self.0 else { return };
        let is_it = move |fd: &RawFd| leads_to(*fd, peer);
        let cut = move || of_process().0.into_iter().filter(is_it).for_each(shut);
        // A thread that can't be had leaves the connection as it is.
        let _ = tokio::task::spawn_blocking(cut).await;
    }
}

/// The numbers of what this process may have open, and whether few are left. Where the system can't list them, because not
/// even the list can be opened, they are all that are allowed.
pub(super) fn of_process() -> (Vec<RawFd>, bool) {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    match std::fs::read_dir("/proc/self/fd") {
        Ok(listed) => {
            let listed: Vec<RawFd> = listed.flatten().filter_map(number).collect();
            let is_short = listed.len() as u64 > allowed / 4 * 3;
            (listed, is_short)
        }
        Err(_) => ((0..allowed.min(MOST_TRIED) as RawFd).collect(), true),
    }
}

/// Both ends of a connected socket.
pub(super) struct Ends {
    pub(super) own: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Ends {
    /// `None` for what was closed or is something else.
    pub(super) fn of(fd: RawFd) -> Option<Self> {
        // SAFETY: it lives for the calls alone, which change nothing and fail for what isn't a connected socket by now.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let peer = SocketAddr::try_from(getpeername(fd).ok()??).ok()?;
        let own = SocketAddr::try_from(getsockname(fd).ok()?).ok()?;
        Some(Self { own, peer })
    }
}

fn leads_to(fd: RawFd, peer: SocketAddr) -> bool {
    Ends::of(fd).is_some_and(|ends| ends.peer == peer)
}

/// Ends a connection.
pub(super) fn shut(fd: RawFd) {
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
