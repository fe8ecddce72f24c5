//! Memory that all connections share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What memory is counted in: a semaphore has room for half a billion units on any machine.
const UNIT_BYTES: usize = 1024;

/// A number of bytes, of which connections take parts.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    units: Arc<Semaphore>,
    all_units: u32,
}

/// A part of the budget; given back when dropped.
pub(crate) type MemoryPart = OwnedSemaphorePermit;

impl MemoryBudget {
    /// A budget of that many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let all_units = units_of(bytes).max(1);
        MemoryBudget { units: Arc::new(Semaphore::new(all_units as usize)), all_units }
    }

    /// Takes a part if there is enough left.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<MemoryPart> {
        Arc::clone(&self.units).try_acquire_many_owned(self.capped(bytes)).ok()
    }

    /// Takes a part as soon as there is enough left.
    pub(crate) async fn take(&self, bytes: usize) -> MemoryPart {
        match Arc::clone(&self.units).acquire_many_owned(self.capped(bytes)).await {
            Ok(part) => part,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Bytes that are taken.
    pub(crate) fn taken_bytes(&self) -> usize {
        (self.all_units as usize).saturating_sub(self.units.available_permits()) * UNIT_BYTES
    }

    /// Nothing may wait for more than there is.
    fn capped(&self, bytes: usize) -> u32 {
        units_of(bytes).min(self.all_units)
    }
}

fn units_of(bytes: usize) -> u32 {
    const MAX_UNITS: usize = Semaphore::MAX_PERMITS / 2;
    u32::try_from(bytes.div_ceil(UNIT_BYTES).min(MAX_UNITS)).unwrap_or(u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_come_back() {
        let budget = MemoryBudget::new(10 * UNIT_BYTES);
        let part = budget.try_take(8 * UNIT_BYTES).unwrap();
        assert_eq!(budget.taken_bytes(), 8 * UNIT_BYTES);
        assert!(budget.try_take(3 * UNIT_BYTES).is_none());
        drop(part);
        let all = budget.take(1 << 40).await;
        assert!(budget.try_take(1).is_none());
        drop(all);
        assert_eq!(budget.taken_bytes(), 0);
    }
}
