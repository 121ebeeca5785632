//! Admission to the readers (floor 1): a fair FIFO limiter in front of the pool, which has no order of its own.
//!
//! What must stay true: who came first is let in first; a waiter that gives up leaves nothing behind; the number of
//! admitted operations never exceeds the limit, so that reader threads and connections are bounded by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::wait;
use crate::clock;
use crate::quantiles::Quantiles;

/// The limiter of one database's readers.
pub struct Limiter {
    slots: Arc<Semaphore>,
    limit: u32,
    waiting: AtomicU64,
    timeouts: AtomicU64,
    waits: Quantiles,
}

/// A place among the admitted; dropping it lets the next one in.
pub struct Admission {
    _slot: OwnedSemaphorePermit,
}

struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limiter {
    /// Admits at most `limit` at once.
    pub fn new(limit: u32) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limit as usize)),
            limit,
            waiting: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            waits: Quantiles::new(),
        }
    }

    /// A place that is free at once, or none.
    pub fn try_admit(&self) -> Option<Admission> {
        Arc::clone(&self.slots)
            .try_acquire_owned()
            .ok()
            .map(|slot| Admission { _slot: slot })
    }

    /// Waits for a place, at most `patience`; none when that ran out.
    pub async fn admit(&self, patience: Duration) -> Option<Admission> {
        if let Some(admission) = self.try_admit() {
            return Some(admission);
        }
        let asked = clock::now();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        let admitted = wait::at_most(patience, Arc::clone(&self.slots).acquire_owned()).await;
        drop(waiting);
        self.waits.record(clock::since(asked));
        match admitted {
            Ok(Ok(slot)) => Some(Admission { _slot: slot }),
            _ => {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Admitted now.
    pub fn in_use(&self) -> u32 {
        self.limit
            .saturating_sub(u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX))
    }

    /// Waiting now.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits that ran out since the start.
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// Recent waits.
    pub fn waits(&self) -> &Quantiles {
        &self.waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn admits_up_to_the_limit_and_in_order() {
        let limiter = Arc::new(Limiter::new(1));
        let first = limiter.try_admit().expect("free");
        assert!(limiter.try_admit().is_none());
        let (tell, mut order) = tokio::sync::mpsc::unbounded_channel();
        for name in ["a", "b", "c"] {
            let (limiter, tell) = (Arc::clone(&limiter), tell.clone());
            let before = limiter.waiting();
            tokio::spawn({
                let limiter = Arc::clone(&limiter);
                async move {
                    let _place = limiter.admit(Duration::from_secs(60)).await.expect("admitted");
                    tell.send(name).expect("listening");
                }
            });
            while limiter.waiting() == before {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(limiter.in_use(), 1);
        drop(first);
        let seen = [order.recv().await, order.recv().await, order.recv().await];
        assert_eq!(seen, [Some("a"), Some("b"), Some("c")]);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_nothing_behind() {
        let limiter = Limiter::new(1);
        let held = limiter.try_admit().expect("free");
        assert!(limiter.admit(Duration::from_millis(5)).await.is_none());
        assert_eq!((limiter.waiting(), limiter.timeouts()), (0, 1));
        drop(held);
        assert!(limiter.try_admit().is_some());
    }
}
