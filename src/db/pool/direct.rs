//! A simulation's source of connections (floor 1, tests only): the manager's own checks, on the calling thread.
//!
//! What must stay true: a connection is checked at checkout and looked at when it comes back exactly as r2d2 does
//! it, and no more than the maximum exist. Called by the pool under a simulation.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use r2d2::ManageConnection;

use crate::clock;
use crate::db::connection::{Guarded, Manager};

struct Shared {
    manager: Manager,
    max: u32,
    open: AtomicU32,
    idle: Mutex<Vec<Guarded>>,
}

impl Shared {
    fn discard(&self, connection: Guarded) {
        drop(connection);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pool.
pub struct Direct(Arc<Shared>);

impl Direct {
    /// At most `max` connections of `manager`.
    pub fn new(manager: Manager, max: u32) -> Self {
        Self(Arc::new(Shared {
            manager,
            max,
            open: AtomicU32::new(0),
            idle: Mutex::default(),
        }))
    }

    fn out(&self, connection: Guarded) -> Checkout {
        Checkout {
            pool: Arc::clone(&self.0),
            connection: Some(connection),
        }
    }

    /// An idle connection that is still good.
    pub fn idle(&self) -> Option<Checkout> {
        loop {
            let mut connection = self.0.idle.lock().pop()?;
            match self.0.manager.is_valid(&mut connection) {
                Ok(()) => return Some(self.out(connection)),
                Err(_) => self.0.discard(connection),
            }
        }
    }

    /// An idle connection, or a new one; otherwise `patience` passes.
    pub fn get(&self, patience: Duration) -> Option<Checkout> {
        if let Some(idle) = self.idle() {
            return Some(idle);
        }
        if self.0.open.load(Ordering::Relaxed) < self.0.max {
            self.0.open.fetch_add(1, Ordering::Relaxed);
            match self.0.manager.connect() {
                Ok(connection) => return Some(self.out(connection)),
                Err(_) => self.0.open.fetch_sub(1, Ordering::Relaxed),
            };
        }
        clock::sleep(patience);
        None
    }

    /// Connections that exist, and of these the idle ones.
    pub fn counts(&self) -> (u32, u32) {
        let idle = u32::try_from(self.0.idle.lock().len()).unwrap_or(u32::MAX);
        (self.0.open.load(Ordering::Relaxed), idle)
    }
}

/// A connection that is out.
pub struct Checkout {
    pool: Arc<Shared>,
    connection: Option<Guarded>,
}

impl Deref for Checkout {
    type Target = Guarded;

    fn deref(&self) -> &Guarded {
        self.connection.as_ref().expect("taken only by drop")
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Guarded {
        self.connection.as_mut().expect("taken only by drop")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let mut connection = self.connection.take().expect("dropped once");
        if self.pool.manager.has_broken(&mut connection) {
            self.pool.discard(connection);
        } else {
            self.pool.idle.lock().push(connection);
        }
    }
}
