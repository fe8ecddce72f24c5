//! Finds a partition's owner and gets an answer from it, or from a standby.

use std::time::Duration;

use streams_core::StreamsHandle;
use streams_core::query::KeyMetadata;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::partition_read::{PartitionAnswer, PartitionRead};
use crate::peers::Peers;

/// Pauses between two rounds through the instances that may answer.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_millis(200);

/// Reads partitions wherever they are.
#[derive(Debug, Clone)]
pub(crate) struct Partitions {
    pub(crate) handle: StreamsHandle,
    pub(crate) peers: Peers,
}

impl Partitions {
    /// Reads a partition from its owner, else, where the read allows it, from a standby; again and again until `until`.
    /// The last refusal is answered then, which can be tried again.
    pub(crate) async fn read(
        &self,
        mut read: PartitionRead,
        until: Instant,
    ) -> Result<PartitionAnswer, Refusal> {
        let (standbys, mut pause) = (read.standbys, RETRY_FIRST);
        loop {
            let owners = self.handle.owners(&read.store, read.partition)?;
            read.standbys = false;
            let mut refusal = match self.ask_owner(&mut read, &owners, until).await {
                Err(refusal) if refusal.retriable => refusal,
                answered => return answered,
            };
            if standbys {
                read.standbys = true;
                refusal = match self.ask_standbys(&mut read, &owners, until).await {
                    Some(Err(refusal)) if refusal.retriable => refusal,
                    Some(answered) => return answered,
                    None => refusal,
                };
            }
            if Instant::now() + pause >= until {
                return Err(refusal);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn ask_owner(
        &self,
        read: &mut PartitionRead,
        owners: &KeyMetadata,
        until: Instant,
    ) -> Result<PartitionAnswer, Refusal> {
        // What is here answers by itself, whatever the leader has told.
        let refusal = match self.read_here(read, until).await {
            Err(refusal) if refusal.retriable => refusal,
            answered => return answered,
        };
        let owner = owners.active.as_ref().filter(|owner| owner.process_id != self.handle.process_id());
        match owner.and_then(|owner| owner.application_server.as_deref()) {
            Some(server) => {
                set_patience(read, until);
                self.peers.read(server, read, left(until)).await
            }
            None => Err(refusal),
        }
    }

    async fn ask_standbys(
        &self,
        read: &mut PartitionRead,
        owners: &KeyMetadata,
        until: Instant,
    ) -> Option<Result<PartitionAnswer, Refusal>> {
        let mut last = None;
        for standby in &owners.standbys {
            set_patience(read, until);
            let answer = if standby.process_id == self.handle.process_id() {
                self.read_here(read, until).await
            } else if let Some(server) = &standby.application_server {
                self.peers.read(server, read, left(until)).await
            } else {
                continue;
            };
            match answer {
                Err(refusal) if refusal.retriable => last = Some(Err(refusal)),
                answered => return Some(answered),
            }
        }
        last
    }

    /// Reads a partition that this instance has.
    pub(crate) async fn read_here(
        &self,
        read: &mut PartitionRead,
        until: Instant,
    ) -> Result<PartitionAnswer, Refusal> {
        set_patience(read, until);
        let size = (read.limit, read.max_bytes);
        let options = read.options();
        let answer = self.handle.scan(&read.store, read.partition, read.scan(), size, &options);
        Ok(answer.await?.into())
    }
}

/// Waiting for a position may take what is left.
fn set_patience(read: &mut PartitionRead, until: Instant) {
    read.patience_ms = u64::try_from(left(until).as_millis()).unwrap_or(u64::MAX);
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}
