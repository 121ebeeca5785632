//! In which copy of the counters the calling thread counts (floor 1), the same in every breaker.
//!
//! What must stay true: an owned copy is given back when its thread ends and not earlier; what the thread settles after
//! that, in the destructors of its other locals, is counted in a shared one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::stripes::Owners;
use super::sync::{OWNED, SHARED};

static OWNERS: Owners = Owners(AtomicU64::new(0));

/// Where a thread counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stripe {
    /// In one that it alone writes.
    Own(usize),
    /// In one that others write too.
    Shared(usize),
}

/// Gives its stripe back when the thread ends.
struct Owner(Cell<Option<usize>>);

impl Drop for Owner {
    fn drop(&mut self) {
        OWN.set(NONE);
        if let Some(own) = self.0.take() {
            OWNERS.give_back(own);
        }
    }
}

const NONE: usize = usize::MAX;

thread_local! {
    // Without a destructor, which is what makes a look at it cheap, and possible for as long as the thread runs.
    static OWN: Cell<usize> = const { Cell::new(NONE) };
    static OWNER: Owner = const { Owner(Cell::new(None)) };
}

/// The calling thread's own stripe, if it has one already.
#[inline]
pub fn own() -> Option<usize> {
    let own = OWN.get();
    (own < OWNED).then_some(own)
}

/// For a thread that has none: one of its own if there is any by now, because threads end.
pub fn seek() -> Stripe {
    // A thread whose locals are being destroyed has nobody left to give a stripe back.
    let taken = OWNER.try_with(|owner| {
        owner.0.set(OWNERS.take());
        owner.0.get()
    });
    match taken {
        Ok(Some(own)) => {
            OWN.set(own);
            Stripe::Own(own)
        }
        _ => Stripe::Shared(shared()),
    }
}

fn shared() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(NONE) };
    }
    if STRIPE.get() == NONE {
        STRIPE.set(THREADS.fetch_add(1, Ordering::Relaxed) % SHARED);
    }
    STRIPE.get()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    /// As who settles.
    fn stripe() -> Stripe {
        own().map_or_else(seek, Stripe::Own)
    }

    #[test]
    fn no_two_threads_own_the_same_and_those_beyond_share() {
        const THREADS: usize = OWNED + 2 * SHARED;
        let together = Arc::new(Barrier::new(THREADS));
        let look = || {
            let together = Arc::clone(&together);
            std::thread::spawn(move || {
                let found = (stripe(), stripe());
                together.wait(); // Nobody has ended, and given back, before all have looked.
                found
            })
        };
        let threads: Vec<_> = (0..THREADS).map(|_| look()).collect();
        let mut owned = Vec::new();
        for thread in threads {
            match thread.join().expect("looked") {
                (Stripe::Own(first), again) => {
                    assert_eq!(again, Stripe::Own(first), "it keeps its own");
                    owned.push(first);
                }
                // Another test's thread may have ended between its two looks.
                (Stripe::Shared(first), Stripe::Shared(again)) => assert_eq!(first, again),
                (Stripe::Shared(_), Stripe::Own(again)) => owned.push(again),
            }
        }
        let all = owned.len();
        owned.sort_unstable();
        owned.dedup();
        assert_eq!(owned.len(), all, "each has one owner");
    }

    #[test]
    fn what_ends_gives_back_and_its_last_calls_share() {
        /// Asks while the thread's locals are being destroyed, before the owned stripe is given back and after it.
        struct Last(std::sync::mpsc::Sender<Stripe>);
        impl Drop for Last {
            fn drop(&mut self) {
                _ = self.0.send(stripe());
            }
        }
        thread_local! {
            static FIRST: Cell<Option<Last>> = const { Cell::new(None) };
            static SECOND: Cell<Option<Last>> = const { Cell::new(None) };
        }
        let (tell, told) = std::sync::mpsc::channel();
        let ended = std::thread::spawn(move || {
            FIRST.set(Some(Last(tell.clone())));
            let stripe = stripe();
            SECOND.set(Some(Last(tell)));
            stripe
        });
        let before = ended.join().expect("ended");
        let late: Vec<_> = told.iter().collect();
        assert_eq!(late.len(), 2);
        let is_shared = |stripe: &Stripe| matches!(stripe, Stripe::Shared(_));
        assert!(
            late.iter().all(|stripe| *stripe == before || is_shared(stripe)),
            "{late:?}"
        );
        assert!(
            late.iter().any(is_shared),
            "one of them came after the stripe was given back"
        );
        // One after another, many more than there are: were one kept, none would be left in the end.
        let owns = || matches!(std::thread::spawn(stripe).join().expect("ended"), Stripe::Own(_));
        assert!((0..4 * OWNED).filter(|_| owns()).count() > OWNED);
    }
}
