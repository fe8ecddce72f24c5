//! How long operations take, where that is asked for.

use std::time::Instant;

use streams_core::state::{KeyspaceId, StoreOperation, StoreSensors};

use super::{Layers, Place};

impl<T: Clone> Layers<T> {
    pub(crate) fn measure(&mut self, sensors: StoreSensors) {
        self.sensors = Some(Box::new(sensors));
    }

    /// The time, if anybody wants to know it later.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.sensors.as_ref().map(|_| Instant::now())
    }

    /// Notes an operation that began at that time.
    pub(super) fn ended(&self, begun: Option<Instant>, operation: StoreOperation) {
        if let (Some(begun), Some(sensors)) = (begun, &self.sensors) {
            sensors.note(operation, begun.elapsed());
        }
    }

    /// Where its data lies in the database.
    pub(crate) fn keyspaces(&self) -> Vec<KeyspaceId> {
        match &self.place {
            Place::Whole(keyspace) => vec![*keyspace],
            Place::Segments(segments) => segments.keyspaces(),
        }
    }
}
