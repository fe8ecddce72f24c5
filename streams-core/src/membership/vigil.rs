//! Signs of life beside a JoinGroup or SyncGroup that is not answered yet.

use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use crate::client::wire::{WireClient, WireError};

use super::config::MembershipConfig;
use super::requests::GroupConnection;

/// Heartbeats over a connection of their own while the member's waits for the group.
///
/// The coordinator keeps a waiting member without them. They are for the member: a JoinGroup may wait for a whole session,
/// for a dead member to be given up, and without an answer it could not tell that from its own tasks having moved.
#[derive(Debug)]
pub(super) struct Vigil {
    interval: Duration,
    connection: Option<GroupConnection>,
    next: Instant,
    under_way: bool,
}

/// What came of one heartbeat.
#[derive(Debug)]
pub(super) struct Watched {
    sent: Instant,
    connection: Option<GroupConnection>,
    answer: Result<Option<ResponseError>, WireError>,
}

impl Vigil {
    pub(super) fn new(config: &MembershipConfig) -> Self {
        Self { interval: config.heartbeat_interval, connection: None, next: Instant::now(), under_way: false }
    }

    /// The wait has only begun: nothing is due for an interval.
    pub(super) fn rest(&mut self) {
        self.next = Instant::now() + self.interval;
    }

    /// When the next heartbeat is due, unless one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.under_way).then_some(self.next)
    }

    /// Begins a heartbeat, if it is time; to be ended by [`end`](Self::end).
    pub(super) fn begin(&mut self) -> Option<Option<GroupConnection>> {
        if self.under_way || Instant::now() < self.next {
            return None;
        }
        self.under_way = true;
        Some(self.connection.take())
    }

    /// When the heartbeat was sent, if the coordinator accepted it.
    pub(super) fn end(&mut self, watched: Watched) -> Option<Instant> {
        self.under_way = false;
        self.rest();
        match watched.answer {
            Ok(None | Some(ResponseError::RebalanceInProgress)) => {
                self.connection = watched.connection;
                Some(watched.sent)
            }
            // The answer to the request that waits will say what is wrong.
            Ok(Some(_)) | Err(_) => None,
        }
    }
}

/// Sends one heartbeat over `connection`, or a new one.
pub(super) async fn watch(
    client: WireClient,
    config: MembershipConfig,
    connection: Option<GroupConnection>,
    (generation, member_id): (i32, String),
) -> Watched {
    let connection = match connection {
        Some(connection) => Ok(connection),
        None => GroupConnection::open(&client, &config).await,
    };
    let sent = Instant::now();
    match connection {
        Ok(connection) => {
            let answer = connection.heartbeat(generation, member_id).await;
            Watched { sent, connection: Some(connection), answer }
        }
        Err(error) => Watched { sent, connection: None, answer: Err(error) },
    }
}
