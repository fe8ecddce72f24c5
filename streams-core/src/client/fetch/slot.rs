//! One partition that is fetched: where it stands, who takes its records.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::buffer::FetchBuffer;
use super::consumer::{FetchEvent, FetchFrom, FetchSink};
use crate::record::TopicPartition;

/// Pauses after failures in a row double from the first to the last of these.
const RETRY: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What is known about where to fetch a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Leader, or offset, are to be asked for.
    Unknown,
    /// They are being asked for.
    Asked,
    /// The leader's address, and its epoch.
    Leader(Arc<str>, i32),
    /// Its owner has been told that fetching does not go on.
    Stopped,
}

/// A partition that is fetched.
pub(super) struct Slot {
    /// Anew with each assignment and each seek: answers to what was asked before are no longer wanted.
    pub(super) token: u64,
    pub(super) partition: TopicPartition,
    pub(super) sink: FetchSink,
    pub(super) buffer: Arc<FetchBuffer>,
    pub(super) from: FetchFrom,
    /// The next offset to fetch; none until the broker has said where the partition begins or ends.
    pub(super) position: Option<i64>,
    pub(super) place: Place,
    /// A broker has called the position out of range.
    pub(super) suspect: bool,
    /// A Fetch request for it is under way.
    pub(super) under_way: bool,
    /// Everything there was has been delivered.
    pub(super) at_end: bool,
    /// How many bytes records take for each byte that the broker sends.
    pub(super) expansion: f64,
    failures: u32,
    /// When the first of the failures in a row came.
    pub(super) failing_since: Option<Instant>,
    /// No request before this time.
    pub(super) not_before: Option<Instant>,
}

/// What records are taken to grow by before any have been seen: text in LZ4.
const FIRST_EXPANSION: f64 = 4.0;

impl Slot {
    pub(super) fn new(
        token: u64,
        partition: TopicPartition,
        from: FetchFrom,
        sink: FetchSink,
        buffer: Arc<FetchBuffer>,
    ) -> Self {
        Slot {
            token,
            partition,
            sink,
            buffer,
            from,
            position: starting_position(from),
            place: Place::Unknown,
            suspect: false,
            under_way: false,
            at_end: false,
            expansion: FIRST_EXPANSION,
            failures: 0,
            failing_since: None,
            not_before: None,
        }
    }

    /// Goes on from elsewhere.
    pub(super) fn seek(&mut self, token: u64, from: FetchFrom) {
        self.token = token;
        self.from = from;
        self.position = starting_position(from);
        self.suspect = false;
        self.under_way = false;
        self.at_end = false;
        self.not_before = None;
        if self.place == Place::Stopped || self.position.is_none() || self.place == Place::Asked {
            self.place = Place::Unknown;
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// Leaves a pause and asks anew for the leader.
    pub(super) fn retry(&mut self, now: Instant) {
        let pause = RETRY.saturating_mul(1 << self.failures.min(10)).min(RETRY_MAX);
        self.not_before = Some(now + pause);
        self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.place = Place::Unknown;
    }

    /// How often in a row it has failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn recovered(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.not_before = None;
    }

    /// Tells its owner that fetching does not go on.
    pub(super) fn stop(&mut self, fault: crate::client::ClientError) {
        self.place = Place::Stopped;
        (self.sink)(FetchEvent::Fault(fault));
    }
}

fn starting_position(from: FetchFrom) -> Option<i64> {
    match from {
        FetchFrom::Offset(offset) => Some(offset),
        FetchFrom::Beginning | FetchFrom::End => None,
    }
}
