//! Connections that say nothing (floor 5): let go after a while, because each takes a descriptor of a bounded number.
//!
//! Rocket has no bound on the time in which a request's head comes, nor on the time between two requests. What must stay
//! true: a connection is let go only while no request of it is under way and no answer on its way; only connections to our
//! own port are looked at. The skin tells it of requests; `app` starts it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rocket::fairing::{AdHoc, Fairing};
use rocket::response::{Body, Response};
use rocket::tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::connection::{Ends, of_process, shut};
use crate::clock;

/// How long a silent connection stays while few descriptors are left.
const WHEN_SHORT: Duration = Duration::from_secs(20);
/// Looks in the time that a silent connection stays.
const LOOKS: u32 = 5;
/// A shorter answer is in the socket's buffer as soon as it is made.
const SHORT_BYTES: usize = 64 << 10;

/// One connection, by its other end.
struct Known {
    fd: RawFd,
    /// Requests under way, and answers on their way.
    busy: u32,
    /// Since when there has been none.
    since: Instant,
}

/// The connections, and what is under way on them.
#[derive(Default)]
pub struct Connections(Mutex<HashMap<SocketAddr, Known>>);

impl Connections {
    /// A request begins; it lasts as long as what is given.
    pub(super) fn busy(self: &Arc<Self>, peer: SocketAddr) -> Busy {
        let since = clock::now();
        let unknown = Known { fd: -1, busy: 0, since };
        self.0.lock().entry(peer).or_insert(unknown).busy += 1;
        Busy {
            connections: Arc::clone(self),
            peer,
        }
    }

    /// Lets go of those to this port that have been silent for so long; how many. Blocking.
    fn let_go(&self, port: u16, patience: Duration) -> usize {
        let (descriptors, is_short) = of_process();
        let ours = |fd: &RawFd| Some((*fd, Ends::of(*fd).filter(|ends| ends.own.port() == port)?.peer));
        let open: HashMap<SocketAddr, RawFd> = descriptors
            .iter()
            .filter_map(ours)
            .map(|(fd, peer)| (peer, fd))
            .collect();
        let patience = if is_short { patience.min(WHEN_SHORT) } else { patience };
        let silent = self.silent(&open, patience);
        for (peer, fd) in &silent {
            // Its number may have become another's.
            if Ends::of(*fd).is_some_and(|ends| ends.peer == *peer) {
                shut(*fd);
            }
        }
        silent.len()
    }

    fn silent(&self, open: &HashMap<SocketAddr, RawFd>, patience: Duration) -> Vec<(SocketAddr, RawFd)> {
        let (mut known, now) = (self.0.lock(), clock::now());
        known.retain(|peer, one| one.busy > 0 || open.contains_key(peer));
        for (peer, fd) in open {
            let since = now;
            let one = known.entry(*peer).or_insert(Known {
                fd: *fd,
                busy: 0,
                since,
            });
            if one.fd != *fd {
                // A request told of it first, or another connection of that address came after it.
                (one.fd, one.since) = (*fd, now);
            }
        }
        let is_silent = |one: &Known| one.busy == 0 && now.duration_since(one.since) >= patience;
        let silent = known.iter().filter(|(_, one)| is_silent(one));
        silent.map(|(peer, one)| (*peer, one.fd)).collect()
    }
}

/// A request under way, or its answer on its way.
pub(super) struct Busy {
    connections: Arc<Connections>,
    peer: SocketAddr,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(one) = self.connections.0.lock().get_mut(&self.peer) {
            one.busy = one.busy.saturating_sub(1);
            one.since = clock::now();
        }
    }
}

/// A body whose connection is busy until it was sent, or nobody takes it any more.
struct Sending<'r> {
    body: Body<'r>,
    _busy: Busy,
}

impl AsyncRead for Sending<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.body).poll_read(cx, buf)
    }
}

/// Rocket seeks only for a size that it isn't told.
impl AsyncSeek for Sending<'_> {
    fn start_seek(self: Pin<&mut Self>, _: io::SeekFrom) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

/// Keeps the connection busy until an answer that takes long was sent.
pub(super) async fn until_sent(response: &mut Response<'_>, busy: Busy) {
    let size = response.body_mut().size().await;
    if response.body().is_none() || size.is_some_and(|size| size <= SHORT_BYTES) {
        return;
    }
    let chunk = response.body().max_chunk_size();
    let body = response.body_mut().take();
    let sending = Sending { body, _busy: busy };
    match size {
        Some(size) => response.set_sized_body(size, sending),
        None => response.set_streamed_body(sending),
    }
    response.set_max_chunk_size(chunk);
}

/// Looks at the connections as long as the service runs. They may be silent for Rocket's `keep_alive`, or as long as our
/// default of it where that says that there is none.
pub fn let_go_of_silent(connections: Arc<Connections>, unless_set: Duration) -> impl Fairing {
    AdHoc::on_liftoff("silence", move |rocket| {
        Box::pin(async move {
            let (port, mut end) = (rocket.config().port, rocket.shutdown());
            let set = Duration::from_secs(rocket.config().keep_alive.into());
            let patience = if set.is_zero() { unless_set } else { set };
            rocket::tokio::spawn(async move {
                loop {
                    rocket::tokio::select! {
                        () = rocket::tokio::time::sleep(patience / LOOKS) => {}
                        () = &mut end => return,
                    }
                    let connections = Arc::clone(&connections);
                    let look = move || connections.let_go(port, patience);
                    match rocket::tokio::task::spawn_blocking(look).await {
                        Ok(0) | Err(_) => {}
                        Ok(count) => tracing::debug!(count, "silent connections were let go"),
                    }
                }
            });
        })
    })
}
