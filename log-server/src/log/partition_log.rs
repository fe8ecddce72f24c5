//! One partition's log: appends, watermarks, segments.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::durability::SyncTurn;
use super::leader_epochs::LeaderEpochs;
use super::producer_snapshot;
use super::producer_state::{Marker, ProducerEntry, ProducerStates, Verdict};
use super::segment::{AppendError, Segment};
use super::sync_journal::SyncJournal;
use super::syncer::Syncer;
use crate::clock::{Clock, SystemClock};
use crate::config::FsyncPolicy;
use crate::disk::{Disk, OsDisk};
use crate::error::Error;
use crate::protocol::ErrorCode;
use crate::records::BatchHeader;
use crate::topics::TopicConfig;

/// The first bytes of a batch, which the server changes: base offset, length, leader epoch. The checksum does
/// not cover them, so the rest goes from the network to the disk untouched.
const PATCHED_BYTES: usize = 16;

/// What a log shares with the others of the server.
#[derive(Debug, Clone)]
pub(crate) struct LogOptions {
    pub(crate) fsync: FsyncPolicy,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The topic's id; nil until the topic is known.
    pub(crate) topic_id: Uuid,
}

impl LogOptions {
    /// The operating system's disk and clocks, and sync threads of its own, which share a journal in the data
    /// directory, if one is given.
    ///
    /// # Errors
    /// [`Error::Config`] if a thread cannot be started.
    pub(crate) fn system(fsync: FsyncPolicy, data_dir: Option<&Path>) -> Result<Self, Error> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let journal = data_dir.map(|data_dir| SyncJournal::new(Arc::clone(&disk), data_dir));
        let (syncer, clock) = (Syncer::start(fsync, journal)?, Arc::new(SystemClock::start()));
        Ok(LogOptions { fsync, syncer, disk, clock, topic_id: Uuid::nil() })
    }
}

/// The result of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The log is durable for this append when the high watermark has reached this offset.
    pub(crate) end_offset: i64,
    /// The server's time if it is the records' time, else -1.
    pub(crate) log_append_time: i64,
    pub(crate) log_start_offset: i64,
}

/// Up to where a log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermarks {
    /// The first offset that can be read.
    pub(crate) log_start: i64,
    /// Readers see what is before: it is as durable as the fsync policy promises.
    pub(crate) high: i64,
    /// Readers of committed records see what is before.
    pub(crate) last_stable: i64,
    /// The segment and the position of the high watermark.
    pub(crate) high_segment: i64,
    pub(crate) high_position: u64,
    /// The disk failed: nothing more is accepted until a restart has recovered the log.
    pub(crate) failed: bool,
}

/// What appends change, under one lock that is never held over an await.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) active: Arc<Segment>,
    pub(crate) next_offset: i64,
    pub(crate) producers: ProducerStates,
    /// When the active segment was made, for rolling by time.
    pub(crate) rolled_at_ms: i64,
    /// Closed segments that have not been synced yet.
    pub(super) unsynced: Vec<Arc<Segment>>,
}

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    topic: Arc<str>,
    partition: i32,
    pub(super) directory: PathBuf,
    config: RwLock<Arc<TopicConfig>>,
    pub(super) epochs: Mutex<LeaderEpochs>,
    /// The epoch of this start, constant while the server runs.
    leader_epoch: i32,
    pub(super) writer: Mutex<Writer>,
    /// All segments by rising base offset; replaced as a whole when one is added or removed.
    pub(super) segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    pub(super) watermarks: watch::Sender<Watermarks>,
    /// Fetch requests that wait for records; each is woken once.
    fetch_waiters: Mutex<Vec<Arc<Notify>>>,
    /// Whether a sync is asked for or under way.
    pub(super) sync_turn: Mutex<SyncTurn>,
    /// Everything before is on the disk with its indexes: recovery begins here.
    pub(super) recovery_point: Mutex<i64>,
    pub(super) options: LogOptions,
}

/// What [`super::recovery`] found on the disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) active: Arc<Segment>,
    pub(crate) next_offset: i64,
    pub(crate) log_start: i64,
    pub(crate) producers: ProducerStates,
    pub(crate) epochs: LeaderEpochs,
}

impl PartitionLog {
    pub(super) fn from_recovered(
        topic: Arc<str>,
        partition: i32,
        directory: PathBuf,
        config: Arc<TopicConfig>,
        options: LogOptions,
        recovered: Recovered,
    ) -> Self {
        let Recovered { segments, active, next_offset, log_start, producers, epochs } = recovered;
        let watermarks = Watermarks {
            log_start,
            high: next_offset,
            last_stable: producers.first_unstable_offset().unwrap_or(next_offset).max(log_start),
            high_segment: active.base_offset,
            high_position: active.size_bytes(),
            failed: false,
        };
        PartitionLog {
            topic,
            partition,
            directory,
            config: RwLock::new(config),
            leader_epoch: epochs.current(),
            epochs: Mutex::new(epochs),
            recovery_point: Mutex::new(active.base_offset),
            writer: Mutex::new(Writer {
                active,
                next_offset,
                producers,
                rolled_at_ms: options.clock.wall_ms(),
                unsynced: Vec::new(),
            }),
            segments: RwLock::new(Arc::new(segments)),
            watermarks: watch::Sender::new(watermarks),
            fetch_waiters: Mutex::new(Vec::new()),
            sync_turn: Mutex::default(),
            options,
        }
    }

    /// The topic that the partition belongs to.
    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The topic's id.
    pub(super) fn topic_id(&self) -> Uuid {
        self.options.topic_id
    }

    /// The partition's number.
    pub(crate) fn partition(&self) -> i32 {
        self.partition
    }

    /// Where the partition's files are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The topic's configuration.
    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the topic's configuration; it holds from the next append on.
    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The leader epoch that is written into batches.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The last epoch not above `epoch` and its end offset.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        lock(&self.epochs).end_of(epoch, self.watermarks().high)
    }

    /// The epoch that wrote the record at `offset`.
    pub(crate) fn epoch_of(&self, offset: i64) -> i32 {
        lock(&self.epochs).epoch_of(offset)
    }

    /// Up to where the log goes now.
    pub(crate) fn watermarks(&self) -> Watermarks {
        *self.watermarks.borrow()
    }

    /// Where recovery would have to begin.
    pub(crate) fn recovery_point(&self) -> i64 {
        *lock(&self.recovery_point)
    }

    /// Bytes of all segments.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.segment_list().iter().map(|segment| segment.size_bytes()).sum()
    }

    /// The segments as they are now.
    pub(crate) fn segment_list(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Appends one batch that has been validated and belongs to no control type.
    ///
    /// The write goes to the operating system before this returns, so a crash of the process loses nothing;
    /// for the disk wait with [`PartitionLog::wait_durable`].
    ///
    /// # Errors
    /// The error code for the client: sequence and epoch faults, or a storage error.
    pub(crate) fn append(&self, mut header: BatchHeader, batch: &Bytes) -> Result<Appended, ErrorCode> {
        let config = self.config();
        let log_append_time = if config.log_append_time { self.now_ms() } else { -1 };
        let mut writer = lock(&self.writer);
        match writer.producers.check(&header) {
            Verdict::Append => {}
            Verdict::Duplicate { base_offset, .. } => {
                let end_offset = base_offset + i64::from(header.last_offset_delta) + 1;
                return Ok(self.appended(base_offset, end_offset, log_append_time));
            }
            Verdict::OutOfOrder => return Err(ErrorCode::OutOfOrderSequenceNumber),
            Verdict::Fenced => return Err(ErrorCode::InvalidProducerEpoch),
        }
        let stamped;
        let mut bytes = batch;
        if config.log_append_time {
            stamped = stamp(&mut header, batch, log_append_time);
            bytes = &stamped;
        }
        let base_offset = self.write(&mut writer, &mut header, bytes, &config)?;
        writer.producers.appended(&header, self.now_ms());
        let end_offset = writer.next_offset;
        self.after_write(&writer);
        drop(writer);
        Ok(self.appended(base_offset, end_offset, log_append_time))
    }

    /// Appends the marker that ends a producer's transaction; `batch` is the control batch.
    ///
    /// # Errors
    /// A storage error.
    pub(crate) fn append_marker(
        &self,
        mut header: BatchHeader,
        batch: &Bytes,
        marker: Marker,
        coordinator_epoch: i32,
    ) -> Result<Appended, ErrorCode> {
        let config = self.config();
        let mut writer = lock(&self.writer);
        let base_offset = self.write(&mut writer, &mut header, batch, &config)?;
        if let Some(aborted) = writer.producers.marked(&header, marker, coordinator_epoch) {
            writer.active.indexes_mut().aborted.push(aborted);
        }
        let end_offset = writer.next_offset;
        self.after_write(&writer);
        drop(writer);
        Ok(self.appended(base_offset, end_offset, -1))
    }

    fn appended(&self, base_offset: i64, end_offset: i64, log_append_time: i64) -> Appended {
        let log_start_offset = self.watermarks().log_start;
        Appended { base_offset, end_offset, log_append_time, log_start_offset }
    }

    /// The producers that the partition remembers.
    pub(crate) fn producers(&self) -> Vec<(i64, ProducerEntry)> {
        lock(&self.writer).producers.iter().map(|(id, entry)| (id, entry.clone())).collect()
    }

    /// Gives the batch its offsets and writes it; rolls the segment first if it is full.
    fn write(
        &self,
        writer: &mut Writer,
        header: &mut BatchHeader,
        batch: &Bytes,
        config: &TopicConfig,
    ) -> Result<i64, ErrorCode> {
        if self.watermarks.borrow().failed {
            return Err(ErrorCode::KafkaStorageError);
        }
        header.base_offset = writer.next_offset;
        header.leader_epoch = self.leader_epoch;
        if self.must_roll(writer, header, config) {
            self.roll(writer).map_err(|error| self.storage_error("roll", &error))?;
        }
        let mut head = [0; PATCHED_BYTES];
        head[..8].copy_from_slice(&header.base_offset.to_be_bytes());
        head[8..12].copy_from_slice(&header.length.to_be_bytes());
        head[12..].copy_from_slice(&header.leader_epoch.to_be_bytes());
        let rest = batch.get(PATCHED_BYTES..header.size_bytes()).ok_or(ErrorCode::CorruptMessage)?;
        let position = writer.active.append(&head, rest).map_err(|error| {
            if matches!(error, AppendError::Torn(_)) {
                self.fail();
            }
            self.storage_error("append to", &error)
        })?;
        writer.active.index_batch(header, position, config.index_interval_bytes);
        writer.next_offset = header.next_offset();
        Ok(header.base_offset)
    }

    fn must_roll(&self, writer: &Writer, header: &BatchHeader, config: &TopicConfig) -> bool {
        let active = &writer.active;
        let size = active.size_bytes();
        if size == 0 {
            return false;
        }
        let too_far = header.last_offset() - active.base_offset > i64::from(i32::MAX);
        let index_bytes = active.indexes().offsets.len() * 8;
        too_far
            || size + header.size_bytes() as u64 > config.segment_bytes
            || index_bytes >= config.segment_index_bytes
            || self.now_ms().saturating_sub(writer.rolled_at_ms) > config.segment_ms
    }

    /// Closes the active segment and begins a new one at the next offset.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<(), Error> {
        let base_offset = writer.next_offset;
        let closed = Arc::clone(&writer.active);
        if self.options.fsync == FsyncPolicy::Always {
            // The next segment must not reach the disk before the end of this one: recovery would find a gap.
            closed.sync().map_err(|source| {
                self.fail();
                Error::storage("sync", closed.path("log"))(source)
            })?;
        }
        closed.store_indexes().map_err(Error::storage("write", closed.path("index")))?;
        let disk = &self.options.disk;
        producer_snapshot::write(disk.as_ref(), &self.directory, base_offset, &writer.producers)?;
        let active = Segment::create(disk, &self.directory, base_offset);
        let active = Arc::new(active.map_err(Error::storage("create a segment in", &self.directory))?);
        if let Err(error) = closed.release_indexes() {
            tracing::warn!(path = %closed.path("index").display(), %error, "keeping the index in memory");
        }
        {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let mut list = segments.as_ref().clone();
            list.push(Arc::clone(&active));
            *segments = Arc::new(list);
        }
        writer.unsynced.push(closed);
        writer.active = active;
        writer.rolled_at_ms = self.now_ms();
        Ok(())
    }

    /// Makes the append visible, or has it synced first, as the policy says.
    fn after_write(&self, writer: &Writer) {
        if self.options.fsync != FsyncPolicy::Always {
            self.publish(&self.marks_of(writer));
        }
    }

    /// The watermarks as they are when all that is written counts.
    pub(super) fn marks_of(&self, writer: &Writer) -> Watermarks {
        Watermarks {
            high: writer.next_offset,
            last_stable: writer.producers.first_unstable_offset().unwrap_or(writer.next_offset),
            high_segment: writer.active.base_offset,
            high_position: writer.active.size_bytes(),
            ..self.watermarks()
        }
    }

    /// Moves the high watermark forward and wakes those who wait for it.
    pub(super) fn publish(&self, marks: &Watermarks) {
        self.watermarks.send_modify(|current| {
            if marks.high >= current.high {
                // The records at the beginning of an open transaction may have been deleted.
                let last_stable = marks.last_stable.max(current.log_start);
                let (log_start, failed) = (current.log_start, current.failed);
                *current = Watermarks { log_start, last_stable, failed, ..*marks };
            }
        });
        self.wake_fetches();
    }

    pub(super) fn wake_fetches(&self) {
        for waiter in lock(&self.fetch_waiters).drain(..) {
            waiter.notify_one();
        }
    }

    /// Has `waiter` notified at the next change of the watermarks.
    pub(crate) fn register_fetch(&self, waiter: &Arc<Notify>) {
        let mut waiters = lock(&self.fetch_waiters);
        // Waiters whose request has been answered meanwhile hold the only reference.
        waiters.retain(|waiter| Arc::strong_count(waiter) > 1);
        waiters.push(Arc::clone(waiter));
    }

    /// Moves the first readable offset forward, at most to the high watermark.
    ///
    /// # Errors
    /// Offset out of range if `offset` is beyond the high watermark or negative.
    pub(crate) fn advance_log_start(&self, offset: i64) -> Result<i64, ErrorCode> {
        let mut result = Err(ErrorCode::OffsetOutOfRange);
        self.watermarks.send_modify(|marks| {
            if (0..=marks.high).contains(&offset) {
                marks.log_start = marks.log_start.max(offset);
                marks.last_stable = marks.last_stable.max(marks.log_start);
                result = Ok(marks.log_start);
            }
        });
        result
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.options.clock.wall_ms()
    }

    /// Logs an error of the disk and gives the code for the client.
    pub(super) fn storage_error(&self, action: &str, error: &dyn std::fmt::Display) -> ErrorCode {
        tracing::error!(topic = %self.topic, partition = self.partition, %error, "cannot {action} the log");
        ErrorCode::KafkaStorageError
    }
}

/// The batch with the server's time as that of all its records.
fn stamp(header: &mut BatchHeader, batch: &Bytes, now_ms: i64) -> Bytes {
    *header = header.with_log_append_time(now_ms);
    let mut copy = batch.to_vec();
    header.write(&mut copy);
    Bytes::from(copy)
}

/// Locks, also after a panic elsewhere: the data is changed in whole steps only.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
