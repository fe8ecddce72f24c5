//! Finding out who leads partitions, and at which offset they begin or end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::consumer::FetchFrom;
use super::slot::Slot;
use crate::client::wire::{Isolation, OffsetSpec, WireClient, WireError};
use crate::record::TopicPartition;

/// What is to be found out about one partition.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) token: u64,
    partition: TopicPartition,
    /// The offset itself where it is known.
    start: FetchFrom,
    /// Whether to ask for both ends: the offset was called out of range.
    range: bool,
}

/// What was found out.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) token: u64,
    pub(super) leader: Arc<str>,
    pub(super) leader_epoch: i32,
    pub(super) position: i64,
    /// The first offset there is and the one behind the last, where both were asked for.
    pub(super) range: Option<(i64, i64)>,
}

impl Wanted {
    pub(super) fn of(slot: &Slot) -> Self {
        let start = slot.position.map_or(slot.from, FetchFrom::Offset);
        Wanted { token: slot.token, partition: slot.partition.clone(), start, range: slot.suspect }
    }
}

/// Asks the brokers.
///
/// # Errors
/// When no broker answers, one of the partitions has no leader, or a leader refuses.
pub(super) async fn locate(
    wire: WireClient,
    isolation: Isolation,
    wanted: Vec<Wanted>,
) -> Result<Vec<Located>, WireError> {
    let mut topics: Vec<&str> = wanted.iter().map(|wanted| &*wanted.partition.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    let cluster = wire.metadata(Some(&topics)).await?;
    let firsts = offsets(&wire, isolation, OffsetSpec::Earliest, &wanted).await?;
    let ends = offsets(&wire, isolation, OffsetSpec::Latest, &wanted).await?;
    let mut located = Vec::with_capacity(wanted.len());
    for Wanted { token, partition, start, range } in wanted {
        let (Some(leader), Some(leader_epoch)) =
            (cluster.leader(&partition), cluster.leader_epoch(&partition))
        else {
            let topic = partition.topic.to_string();
            return Err(WireError::NoLeader { topic, partition: partition.partition });
        };
        let of = |listed: &BTreeMap<TopicPartition, i64>| listed.get(&partition).copied();
        let position = match start {
            FetchFrom::Offset(offset) => Some(offset),
            FetchFrom::Beginning => of(&firsts),
            FetchFrom::End => of(&ends),
        };
        located.push(Located {
            token,
            leader: leader.address().into(),
            leader_epoch,
            position: position.unwrap_or(0),
            range: of(&firsts).zip(of(&ends)).filter(|_| range),
        });
    }
    Ok(located)
}

async fn offsets(
    wire: &WireClient,
    isolation: Isolation,
    spec: OffsetSpec,
    wanted: &[Wanted],
) -> Result<BTreeMap<TopicPartition, i64>, WireError> {
    let from = if spec == OffsetSpec::Earliest { FetchFrom::Beginning } else { FetchFrom::End };
    let partitions: Vec<TopicPartition> = wanted
        .iter()
        .filter(|wanted| wanted.range || wanted.start == from)
        .map(|wanted| wanted.partition.clone())
        .collect();
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let listed = wire.list_offsets(&partitions, spec, isolation).await?;
    Ok(listed.into_iter().map(|(partition, listed)| (partition, listed.offset)).collect())
}
