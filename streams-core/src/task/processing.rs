//! The step that a task makes again and again: choose, deserialize, process, punctuate.

use std::sync::Arc;

use super::error::TaskError;
use super::partition_group::Choice;
use super::refusal;
use super::retry::{Retry, Tried, TriedStep};
use super::state_manager::{enter_all, store_bytes};
use super::stream_task::{Phase, StreamTask};
use crate::processor::{PunctuationId, PunctuationType, SourceError};
use crate::record::{FetchedRecord, RecordContext};
use crate::time::Timestamp;

/// After so many records the sizes of stores and caches are looked at.
const RECORDS_PER_SIZE_CHECK: usize = 128;

/// What a batch has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processed {
    /// How many records were processed.
    pub records: usize,
    /// Why the batch ended.
    pub stopped: Stopped,
}

/// Why a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// As many records as allowed were processed; more may wait.
    Limit,
    /// No record waits.
    Empty,
    /// Records wait until the fetch brings those of an input that has more on the broker, or may have.
    AwaitingFetch,
    /// Records wait for an input without any; from this time on they are processed without it.
    IdleUntil(Timestamp),
    /// The output is full: [`StreamTask::gather`] it first.
    OutputFull,
    /// A processor asked for a commit, or the stores hold too much that is uncommitted.
    CommitRequested,
}

impl<M: FetchedRecord> StreamTask<M> {
    /// Processes up to `max_records` records, smallest event time first, and fires the punctuations of stream time.
    ///
    /// # Errors
    /// When a record cannot be read or processed and the policies say that this ends the task, or the application's
    /// code panics.
    pub fn process(&mut self, now: Timestamp, max_records: usize) -> Result<Processed, TaskError> {
        self.expect(Phase::Running, "process records")?;
        self.guarded(|task| task.process_batch(now, max_records))
    }

    /// Fires the punctuations of the wall clock that are due at `now`; answers how many. Each fires once, however
    /// many of its intervals have passed.
    ///
    /// # Errors
    /// As [`StreamTask::process`].
    pub fn punctuate(&mut self, now: Timestamp) -> Result<usize, TaskError> {
        self.expect(Phase::Running, "punctuate")?;
        self.graph.shared.wall_clock = now;
        self.guarded(|task| {
            let mut fired = task.fire_due(PunctuationType::WallClock, now)?;
            // Those of stream time that wait for another try do so by the wall clock.
            let stream_time = task.graph.shared.stream_time;
            while let Some((node, id)) = task.graph.shared.punctuations.take_again(now) {
                task.fire(node, id, stream_time)?;
                fired += 1;
            }
            Ok(fired)
        })
    }

    /// When the next punctuation of the wall clock is due, or one that has failed is to be tried again.
    pub fn next_punctuation(&self) -> Option<Timestamp> {
        self.graph.shared.punctuations.next_due()
    }

    /// Whether a processor asked for a commit, or the stores hold too much that is uncommitted.
    pub fn commit_requested(&self) -> bool {
        self.graph.shared.commit_requested
    }

    fn process_batch(&mut self, now: Timestamp, max_records: usize) -> Result<Processed, TaskError> {
        self.graph.shared.wall_clock = now;
        let mut records = 0;
        let stopped = loop {
            if records == max_records {
                break Stopped::Limit;
            }
            if let Some(retry) = self.retry.as_ref().filter(|retry| now < retry.not_before) {
                break Stopped::IdleUntil(retry.not_before);
            }
            match self.choose(now)? {
                Choice::Queue(_) => self.step()?,
                Choice::Empty => break Stopped::Empty,
                Choice::AwaitingFetch => break Stopped::AwaitingFetch,
                Choice::IdleUntil(time) => break Stopped::IdleUntil(time),
            }
            records += 1;
            if !self.graph.shared.punctuations.is_empty() {
                self.fire_due(PunctuationType::StreamTime, self.graph.shared.stream_time)?;
            }
            if records.is_multiple_of(RECORDS_PER_SIZE_CHECK) {
                self.bound_stores()?;
            }
            if self.graph.shared.commit_requested {
                break Stopped::CommitRequested;
            }
            if self.graph.shared.output.memory_bytes() >= self.config.max_output_bytes {
                break Stopped::OutputFull;
            }
        };
        self.bound_stores()?;
        self.touched |= records > 0;
        self.counters.processed += records as u64;
        Ok(Processed { records, stopped })
    }

    fn choose(&mut self, now: Timestamp) -> Result<Choice, TaskError> {
        let (task, policy) = (self.name(), &self.config.deserialization);
        let shared = &mut self.graph.shared;
        let mut dropped = 0;
        let choice = self.group.choose(now, &mut dropped, &mut |partition, record, error| {
            refusal::refuse(task, policy, shared, partition, record, error)
        })?;
        self.graph.shared.dropped_records += dropped;
        Ok(choice)
    }

    /// Processes the record that was chosen.
    fn step(&mut self) -> Result<(), TaskError> {
        let task = self.name();
        let Some((input, queue)) = self.group.chosen() else { return Ok(()) };
        let Some((record, timed)) = queue.take_head() else { return Ok(()) };
        let shared = &mut self.graph.shared;
        if self.context_of == Some(input) {
            shared.set_offset(record.offset());
        } else {
            self.context_of = Some(input);
            let topic = Arc::clone(&queue.partition.topic);
            let partition = queue.partition.partition;
            shared.set_record_context(Some(RecordContext { topic, partition, offset: record.offset() }));
        }
        if self.retry.is_some() || self.config.tried.is_some() {
            let tried = self.retry.as_ref().map(|retry| &retry.tried).or(self.config.tried.as_ref());
            let of_record = |tried: &&Tried| tried.is_record(&queue.partition, record.offset());
            shared.retries.attempt = tried.filter(of_record).map_or(0, |tried| tried.times);
        }
        let (before, effects) = (shared.stream_time, shared.effects());
        let time = timed.timestamp;
        shared.stream_time = before.max(time);
        let decoder = &queue.decoder;
        let failed = match self.graph.feed(queue.source, |context| decoder.process(&record, timed, context)) {
            Ok(()) => {
                queue.partition_time = queue.partition_time.max(time);
                self.last_processed = Some((input, time));
                None
            }
            Err(SourceError::Process(source)) => {
                let (partition, offset) = (queue.partition.clone(), record.offset());
                Some(TaskError::Process { task, partition, offset, source })
            }
            Err(error) => {
                let shared = &mut self.graph.shared;
                // A record that cannot be read has no time.
                shared.stream_time = before;
                let policy = &self.config.deserialization;
                refusal::refuse(task, policy, shared, &queue.partition, &record, error).err()
            }
        };
        let shared = &mut self.graph.shared;
        if let Some(error) = failed {
            shared.dead_letters.clear();
            if !std::mem::take(&mut shared.retries.wanted) {
                return Err(error);
            }
            let untouched = shared.effects() == effects;
            shared.stream_time = before;
            return self.try_again(input, record, time, untouched, &error);
        }
        if !shared.dead_letters.is_empty() {
            refusal::send_dead_letters(task, shared, &queue.partition, &record);
        }
        queue.consume(&record);
        if self.retry.take().is_some() {
            self.graph.shared.retries.attempt = 0;
        }
        Ok(())
    }

    /// Puts the record back for another try, or, if something was done for it, lets the task begin again from its last commit.
    fn try_again(
        &mut self,
        input: usize,
        record: M,
        time: Timestamp,
        untouched: bool,
        error: &TaskError,
    ) -> Result<(), TaskError> {
        let attempt = self.graph.shared.retries.attempt;
        let pause = self.config.retry.pause(attempt);
        let queue = &mut self.group.queues_mut()[input];
        let (partition, offset) = (queue.partition.clone(), record.offset());
        let tried = Tried { step: TriedStep::Record { partition, offset }, times: attempt + 1 };
        if !untouched {
            return Err(TaskError::TryAgain { task: self.name(), tried, pause, cause: error.to_string() });
        }
        queue.put_back(record, time);
        let not_before = self.graph.shared.wall_clock + pause;
        self.retry = Some(Retry { tried, not_before });
        Ok(())
    }

    fn fire_due(&mut self, kind: PunctuationType, now: Timestamp) -> Result<usize, TaskError> {
        let mut fired = 0;
        let wall_clock = self.graph.shared.wall_clock;
        while let Some((node, punctuation)) = self.graph.shared.punctuations.take_due(kind, now, wall_clock) {
            self.fire(node, punctuation, now)?;
            fired += 1;
        }
        self.touched |= fired > 0;
        self.counters.punctuations += fired as u64;
        Ok(fired)
    }

    fn fire(&mut self, node: u32, id: PunctuationId, now: Timestamp) -> Result<(), TaskError> {
        self.leave_record(now);
        let task = self.name();
        let former = self.config.tried.as_ref().filter(|tried| tried.is_punctuation(id));
        let former = former.map_or(0, |tried| tried.times);
        let shared = &mut self.graph.shared;
        shared.retries.attempt = former.max(shared.punctuations.tries(id));
        shared.retries.at_punctuation = true;
        let effects = shared.effects();
        let fired = self.graph.punctuate(node, id, now);
        let shared = &mut self.graph.shared;
        let attempt = std::mem::take(&mut shared.retries.attempt);
        shared.retries.at_punctuation = false;
        // There is no input record to send.
        shared.dead_letters.clear();
        let wanted = std::mem::take(&mut shared.retries.wanted);
        let untouched = shared.effects() == effects;
        let Err(source) = fired else {
            self.graph.shared.punctuations.settle(id);
            if former > 0 {
                self.config.tried = None;
            }
            return Ok(());
        };
        if !wanted {
            return Err(TaskError::Step { task, step: "a punctuation", source });
        }
        let pause = self.config.retry.pause(attempt);
        if untouched {
            let not_before = self.graph.shared.wall_clock + pause;
            self.graph.shared.punctuations.try_again(id, attempt + 1, not_before);
            return Ok(());
        }
        let node = source.node().map_or_else(|| Arc::from("?"), Arc::from);
        let tried = Tried { step: TriedStep::Punctuation { node, id }, times: attempt + 1 };
        Err(TaskError::TryAgain { task, tried, pause, cause: source.to_string() })
    }

    /// What follows is on behalf of no record.
    pub(super) fn leave_record(&mut self, time: Timestamp) {
        self.context_of = None;
        self.graph.shared.begin_step(time);
        enter_all(self.graph.shared.stores_mut(), time);
    }

    /// Keeps caches and uncommitted writes within their bounds.
    fn bound_stores(&mut self) -> Result<(), TaskError> {
        let stores = self.graph.shared.stores();
        let (uncommitted, _) = store_bytes(stores);
        if stores.iter().any(|store| store.needs_flush()) {
            self.flush_caches()?;
        }
        if uncommitted > self.config.max_uncommitted_bytes {
            self.graph.shared.commit_requested = true;
        }
        Ok(())
    }
}
