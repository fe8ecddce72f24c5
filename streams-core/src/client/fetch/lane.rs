//! Connections to the brokers that fetched partitions lie on, and the requests on their way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::settings::FetchSettings;
use super::slot::{Place, Slot};
use crate::client::wire::{Connection, Isolation, WireConfig, WireError};

/// A broker takes a connection's requests one after the other, and holds one back whose partitions have nothing new. So
/// each broker has two connections: one waits for news, the other fetches what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Partitions that are read to their end.
    News,
    /// Partitions that have more.
    Backlog,
}

pub(super) const LANES: [Lane; 2] = [Lane::Backlog, Lane::News];

/// How long the lane for backlogs waits at most where a partition has nothing new after all.
const BACKLOG_WAIT: Duration = Duration::from_millis(20);

/// One connection to a broker.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    pub(super) connection: Option<Connection>,
    pub(super) busy: bool,
}

/// A broker that leads partitions.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) address: Arc<str>,
    lanes: [LaneState; 2],
}

impl Broker {
    pub(super) fn new(address: Arc<str>) -> Self {
        Broker { address, lanes: Default::default() }
    }

    pub(super) fn lane(&self, lane: Lane) -> &LaneState {
        &self.lanes[lane as usize]
    }

    pub(super) fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        &mut self.lanes[lane as usize]
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| !lane.busy)
    }
}

/// The end of a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) broker: Arc<str>,
    pub(super) lane: Lane,
    /// The partitions asked for, by their slots' tokens.
    pub(super) asked: HashSet<u64>,
    pub(super) connection: Option<Connection>,
    pub(super) outcome: Result<FetchResponse, WireError>,
}

/// Sends a request, over a new connection where there is none.
pub(super) async fn ask(
    broker: Arc<str>,
    lane: Lane,
    asked: HashSet<u64>,
    connection: Option<Connection>,
    wire: WireConfig,
    request: FetchRequest,
) -> Answer {
    let limit = wire.request_timeout + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let opened = match connection.filter(|connection| !connection.is_closed()) {
        Some(connection) => Ok(connection),
        None => Connection::open(&broker, &wire).await,
    };
    let (connection, outcome) = match opened {
        Ok(connection) => {
            let outcome = connection.request_within(&request, limit).await;
            (Some(connection), outcome)
        }
        Err(error) => (None, Err(error)),
    };
    Answer { broker, lane, asked, connection, outcome }
}

/// The request for these slots, in this order: a broker fills its answer from the front.
pub(super) fn request(
    slots: &[&mut Slot],
    lane: Lane,
    room_of: impl Fn(&Slot) -> usize,
    settings: &FetchSettings,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut max_bytes = 0i64;
    for slot in slots {
        let Place::Leader(_, epoch) = slot.place else { continue };
        let room = (room_of(slot) as f64 / slot.expansion.max(1.0)) as i64;
        let room = room.clamp(1, i64::from(settings.partition_max_bytes)) as i32;
        max_bytes += i64::from(room);
        let partition = FetchPartition::default()
            .with_partition(slot.partition.partition)
            .with_current_leader_epoch(epoch)
            .with_fetch_offset(slot.position.unwrap_or(0))
            .with_partition_max_bytes(room);
        match topics.last_mut() {
            Some(topic) if *topic.topic.0 == *slot.partition.topic => topic.partitions.push(partition),
            _ => topics.push(
                FetchTopic::default()
                    .with_topic(TopicName(StrBytes::from_string(slot.partition.topic.to_string())))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    let max_wait = if lane == Lane::News { settings.max_wait } else { settings.max_wait.min(BACKLOG_WAIT) };
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(max_bytes.clamp(1, i64::from(settings.max_bytes)) as i32)
        .with_isolation_level(i8::from(settings.isolation == Isolation::ReadCommitted))
        // No fetch session: each request names its partitions.
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics)
}
