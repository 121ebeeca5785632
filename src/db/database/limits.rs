//! How many readers may run at once, and changing that while they do (floor 1).
//!
//! What must stay true: nothing lets more than DB_POOL_MAX run, which is r2d2's ceiling; a change that isn't allowed
//! changes nothing.

use super::Database;

/// Readers at once for each core to begin with. Cached reads are bound by the cores, and a few more fill the waits for
/// the disk; from there the limit moves by itself.
const FIRST_A_CORE: usize = 4;

/// What the limit is at first, before its bounds.
pub(super) fn first_limit() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores * FIRST_A_CORE).unwrap_or(u32::MAX)
}

/// A change of the readers' limit; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolChange {
    /// Admitted at once from now on.
    pub limit: Option<u32>,
    /// The least the limit moves to.
    pub min: Option<u32>,
    /// The most.
    pub max: Option<u32>,
    /// Whether it moves by itself; without it, a limit that is set stays where it is.
    pub adaptive: Option<bool>,
}

impl Database {
    /// Whether a change is allowed.
    ///
    /// # Errors
    /// Each refused member with what is allowed.
    pub fn check_readers(&self, change: PoolChange) -> Result<(), Vec<(&'static str, String)>> {
        let ceiling = self.settings().pool.max;
        let (min, max) = self.bounds_after(change);
        let members = [("limit", change.limit), ("min", change.min), ("max", change.max)];
        let outside = |value: Option<u32>| value.is_some_and(|value| value < 1 || value > ceiling);
        let mut refused: Vec<_> = members
            .into_iter()
            .filter(|(_, value)| outside(*value))
            .map(|(member, _)| (member, format!("must be from 1 to {ceiling} (DB_POOL_MAX)")))
            .collect();
        if refused.is_empty() && min > max {
            let member = if change.min.is_some() { "min" } else { "max" };
            refused.push((
                member,
                format!("min must not be above max; they would be {min} and {max}"),
            ));
        } else if refused.is_empty() && change.limit.is_some_and(|limit| limit < min || limit > max) {
            refused.push(("limit", format!("must be from {min} to {max}, the limit's bounds")));
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    fn bounds_after(&self, change: PoolChange) -> (u32, u32) {
        let (min, max) = self.inner.readers.limiter.view().bounds;
        (change.min.unwrap_or(min), change.max.unwrap_or(max))
    }

    /// Changes the readers' limit at once. Operations that run are left alone.
    ///
    /// # Errors
    /// Those of [`Database::check_readers`]; then nothing was changed.
    pub fn adjust_readers(&self, change: PoolChange) -> Result<(), Vec<(&'static str, String)>> {
        self.check_readers(change)?;
        let (min, max) = self.bounds_after(change);
        self.inner.readers.limiter.adjust(|adaptive| {
            if change.min.is_some() || change.max.is_some() {
                adaptive.set_bounds(min, max);
            }
            if let Some(limit) = change.limit {
                adaptive.set_limit(limit);
                adaptive.enable(false);
            }
            if let Some(enabled) = change.adaptive {
                adaptive.enable(enabled);
            }
        });
        let pool = self.status().pool;
        self.inner
            .observer
            .readers_adjusted(self.name(), &pool, self.origin.as_deref());
        Ok(())
    }
}
