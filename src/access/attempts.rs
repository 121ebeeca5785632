//! Failed tries (floor 2): a limit for each client, and one signal for a burst over all of them.
//!
//! What must stay true: time comes in as an argument; memory is bounded whatever arrives; a try that is turned away
//! doesn't prolong its own block. `http` verifies first and counts what failed, so that a client with a good token
//! is never locked out by a bad one behind the same address.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const WINDOW: Duration = Duration::from_secs(60);
const PER_CLIENT: usize = 10;
const BURST: usize = 20;
const MOST_CLIENTS: usize = 10_000;

/// What a failed try means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The client had used up its tries before this one: answer 429 with these seconds (at least 1).
    pub blocked_seconds: Option<u64>,
    /// How many of this client's tries failed within the last minute, as far as they are counted.
    pub client_tries: u64,
    /// A burst has just begun with this many tries over all clients within the last minute: log it once, as critical.
    pub burst_began: Option<u64>,
}

/// One client's failures within the window, oldest first, and its place in the order of eviction.
#[derive(Debug, Default)]
struct Client {
    failures: VecDeque<Instant>,
    place: u64,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<IpAddr, Client>,
    /// Clients by their last counted failure, for eviction.
    order: BTreeMap<u64, IpAddr>,
    next_place: u64,
    /// The last failures of all clients, at most [`BURST`].
    latest: VecDeque<Instant>,
    in_burst: bool,
}

/// Counts failed tries.
#[derive(Debug, Default)]
pub struct FailedAttempts {
    state: Mutex<State>,
}

impl FailedAttempts {
    /// No failures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many seconds this client must wait before another failure would be answered as one; `None` is not blocked.
    pub fn blocked_seconds(&self, client: IpAddr, now: Instant) -> Option<u64> {
        let state = self.state.lock();
        state
            .clients
            .get(&identity(client))
            .and_then(|client| client.blocked_seconds(now))
    }

    /// Counts a failed try. A blocked client's tries count towards a burst only.
    pub fn failed(&self, client: IpAddr, now: Instant) -> Failure {
        let mut state = self.state.lock();
        let burst_began = state.note_burst(now).then_some(BURST as u64);
        let client = identity(client);
        let blocked_seconds = state
            .clients
            .get(&client)
            .and_then(|client| client.blocked_seconds(now));
        if blocked_seconds.is_none() {
            state.count(client, now);
        }
        let counted = |known: &Client| {
            known
                .failures
                .iter()
                .filter(|at| now.saturating_duration_since(**at) < WINDOW)
                .count()
        };
        Failure {
            blocked_seconds,
            client_tries: state.clients.get(&client).map_or(0, counted) as u64,
            burst_began,
        }
    }
}

impl Client {
    fn blocked_seconds(&self, now: Instant) -> Option<u64> {
        if self.failures.len() < PER_CLIENT {
            return None;
        }
        let free_at = *self.failures.front()? + WINDOW;
        let left = free_at.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }
}

impl State {
    fn count(&mut self, client: IpAddr, now: Instant) {
        self.next_place += 1;
        let place = self.next_place;
        let entry = self.clients.entry(client).or_default();
        self.order.remove(&entry.place);
        entry.place = place;
        if entry.failures.len() == PER_CLIENT {
            entry.failures.pop_front();
        }
        entry.failures.push_back(now);
        self.order.insert(place, client);
        self.evict(now);
    }

    /// Forgets clients whose last failure is older than the window, and the oldest one above the bound.
    fn evict(&mut self, now: Instant) {
        while let Some((&place, &client)) = self.order.first_key_value() {
            let last = self.clients.get(&client).and_then(|client| client.failures.back());
            let is_over = last.is_none_or(|last| now.saturating_duration_since(*last) >= WINDOW);
            if !is_over && self.clients.len() <= MOST_CLIENTS {
                return;
            }
            self.order.remove(&place);
            self.clients.remove(&client);
        }
    }

    /// Whether this failure begins a burst. The burst lasts as long as the last [`BURST`] failures fit the window.
    fn note_burst(&mut self, now: Instant) -> bool {
        if self.latest.len() == BURST {
            self.latest.pop_front();
        }
        self.latest.push_back(now);
        let oldest = self.latest.front().copied().unwrap_or(now);
        let is_burst = self.latest.len() == BURST && now.saturating_duration_since(oldest) < WINDOW;
        let began = is_burst && !self.in_burst;
        self.in_burst = is_burst;
        began
    }
}

/// Whom an address stands for: one IPv6 client owns a whole /64.
fn identity(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn ten_failures_block_a_client_until_the_window_frees_one() {
        let (attempts, start) = (FailedAttempts::new(), Instant::now());
        for second in 0..10 {
            let at = start + seconds(second);
            assert_eq!(attempts.blocked_seconds(ip("10.0.0.1"), at), None);
            assert_eq!(attempts.failed(ip("10.0.0.1"), at).blocked_seconds, None);
        }
        let at = start + Duration::from_millis(9500);
        assert_eq!(attempts.blocked_seconds(ip("10.0.0.1"), at), Some(51));
        assert_eq!(attempts.blocked_seconds(ip("10.0.0.2"), at), None);
        assert_eq!(attempts.failed(ip("10.0.0.1"), at).blocked_seconds, Some(51));
        assert_eq!(attempts.blocked_seconds(ip("10.0.0.1"), start + seconds(60)), None);
        assert_eq!(
            attempts.failed(ip("10.0.0.1"), start + seconds(60)).blocked_seconds,
            None
        );
        assert_eq!(attempts.blocked_seconds(ip("10.0.0.1"), start + seconds(60)), Some(1));
    }

    #[test]
    fn tries_while_blocked_do_not_prolong_the_block() {
        let (attempts, start) = (FailedAttempts::new(), Instant::now());
        for _ in 0..10 {
            attempts.failed(ip("10.0.0.1"), start);
        }
        for second in 1..60 {
            assert_eq!(
                attempts.failed(ip("10.0.0.1"), start + seconds(second)).blocked_seconds,
                Some(60 - second)
            );
        }
        assert_eq!(attempts.blocked_seconds(ip("10.0.0.1"), start + seconds(60)), None);
    }

    #[test]
    fn failures_spread_over_more_than_the_window_do_not_block() {
        let (attempts, start) = (FailedAttempts::new(), Instant::now());
        for number in 0..50 {
            let at = start + seconds(7 * number);
            assert_eq!(attempts.failed(ip("10.0.0.1"), at).blocked_seconds, None);
        }
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let (attempts, now) = (FailedAttempts::new(), Instant::now());
        for host in 0..10 {
            attempts.failed(ip(&format!("2001:db8:1:2::{host}")), now);
        }
        assert!(attempts.blocked_seconds(ip("2001:db8:1:2:9::9"), now).is_some());
        assert!(attempts.blocked_seconds(ip("2001:db8:1:3::1"), now).is_none());
        for _ in 0..10 {
            attempts.failed(ip("::ffff:10.0.0.1"), now);
        }
        assert!(attempts.blocked_seconds(ip("10.0.0.1"), now).is_some());
    }

    #[test]
    fn a_burst_over_all_clients_is_signalled_once_and_again_after_a_pause() {
        let (attempts, start) = (FailedAttempts::new(), Instant::now());
        let signals = |from: Instant, count: u8| -> Vec<u8> {
            (1..=count)
                .filter(|n| {
                    attempts
                        .failed(ip(&format!("10.0.0.{n}")), from + seconds(u64::from(*n)))
                        .burst_began
                        .is_some()
                })
                .collect()
        };
        assert_eq!(signals(start, 40), [20]);
        assert_eq!(signals(start + seconds(300), 40), [20]);
        assert_eq!(signals(start + seconds(900), 19), [0; 0]);
    }

    #[test]
    fn one_blocked_client_can_make_a_burst_too() {
        let (attempts, now) = (FailedAttempts::new(), Instant::now());
        let began: Vec<bool> = (0..30)
            .map(|_| attempts.failed(ip("127.0.0.1"), now).burst_began.is_some())
            .collect();
        assert_eq!(began.iter().position(|began| *began), Some(19));
        assert_eq!(began.iter().filter(|began| **began).count(), 1);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let (attempts, start) = (FailedAttempts::new(), Instant::now());
        let client = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        for _ in 0..10 {
            attempts.failed(client(0), start);
        }
        for number in 1..=MOST_CLIENTS as u32 {
            attempts.failed(client(number), start + seconds(1));
        }
        assert_eq!(attempts.blocked_seconds(client(0), start + seconds(1)), None);
        let state = attempts.state.lock();
        assert_eq!((state.clients.len(), state.order.len()), (MOST_CLIENTS, MOST_CLIENTS));
        drop(state);
        attempts.failed(client(7), start + seconds(120));
        let state = attempts.state.lock();
        assert_eq!((state.clients.len(), state.order.len()), (1, 1));
    }
}
