//! The thread of a consumer: takes commands, takes batches, hands each partition's records to its owner.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::consumer::{Command, FetchAssignment, FetchEvent, FetchFrom, FetchSink, FetchedBatch};
use super::error::ClientError;
use super::fetch_buffer::{FetchBudget, FetchBuffer, counted_bytes};
use super::ffi::{Fetched, FetchedMessage, NativeClient};
use crate::record::{FetchedRecord, TopicPartition};

/// Most messages taken in one go: large enough that the call's cost does not count, small enough that a task gets
/// its first records soon.
const BATCH_MESSAGES: usize = 2048;
/// How long to wait for records; commands interrupt the wait.
const POLL_WAIT_MS: i32 = 500;
/// How long to wait for the broker's word on where a partition begins and ends.
const WATERMARK_WAIT_MS: i32 = 5_000;
/// How long to wait for a spent budget before looking whether a partition starves behind the others.
const BUDGET_WAIT: Duration = Duration::from_millis(5);

struct Slot {
    partition: TopicPartition,
    topic: CString,
    sink: FetchSink,
    buffer: Arc<FetchBuffer>,
    // The batch that is being gathered.
    records: Vec<FetchedMessage>,
    payload_bytes: usize,
    // Where fetching began.
    from: FetchFrom,
    // Everything below was delivered; `None` until the first record or end.
    position: Option<i64>,
    at_end: bool,
    paused: bool,
}

pub(super) struct FetchThread {
    client: Arc<NativeClient>,
    budget: Arc<FetchBudget>,
    commands: mpsc::Receiver<Command>,
    slots: Vec<Slot>,
    // From a message's topic and partition to its slot; emptied at each change of the assignment, because the
    // topic is known by its address in librdkafka, which may be reused once nothing of the topic is assigned.
    routes: HashMap<(usize, i32), usize>,
    fetched: Vec<Fetched>,
    paused: usize,
}

impl FetchThread {
    pub(super) fn new(
        client: Arc<NativeClient>,
        budget: Arc<FetchBudget>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        FetchThread {
            client,
            budget,
            commands,
            slots: Vec::new(),
            routes: HashMap::new(),
            fetched: Vec::with_capacity(BATCH_MESSAGES),
            paused: 0,
        }
    }

    pub(super) fn run(&mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(Command::Close) | Err(mpsc::TryRecvError::Disconnected) => return,
                    Ok(command) => self.obey(command),
                    Err(mpsc::TryRecvError::Empty) => break,
                }
            }
            if self.budget.is_spent() {
                self.budget.wait(BUDGET_WAIT);
                self.pause_the_fat_for_the_starving();
                if self.budget.is_spent() && self.paused == 0 {
                    continue;
                }
            }
            let wait_ms = if self.paused > 0 { BUDGET_WAIT.as_millis() as i32 } else { POLL_WAIT_MS };
            self.client.consume(wait_ms, BATCH_MESSAGES, &mut self.fetched);
            self.hand_over();
            if self.paused > 0 {
                self.pause_the_fat_for_the_starving();
                self.resume_the_lean();
            }
        }
    }

    fn obey(&mut self, command: Command) {
        self.routes.clear();
        // A caller that went away does not want the answer.
        match command {
            Command::Assign(partitions, reply) => drop(reply.send(self.assign(partitions))),
            Command::Unassign(partitions, reply) => drop(reply.send(self.unassign(&partitions))),
            Command::Seek(places, reply) => drop(reply.send(self.seek(places))),
            Command::Close => {}
        }
    }

    fn assign(&mut self, partitions: Vec<FetchAssignment>) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for assignment in &partitions {
            add(&mut list, &assignment.partition, assignment.from)?;
        }
        let mut added = Vec::with_capacity(partitions.len());
        for FetchAssignment { partition, from, sink } in partitions {
            let topic = CString::new(partition.topic.as_bytes())
                .map_err(|_| ClientError::InvalidTopic { topic: partition.topic.to_string() })?;
            added.push(Slot {
                partition,
                topic,
                sink,
                buffer: FetchBuffer::new(&self.budget),
                records: Vec::new(),
                payload_bytes: 0,
                from,
                position: starting_position(from),
                at_end: false,
                paused: false,
            });
        }
        let refused = |code| ClientError::Assignment { partitions: added.len(), code };
        self.client.incremental_assign(&list).map_err(refused)?;
        self.slots.append(&mut added);
        Ok(())
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        // A paused partition is off the assignment already.
        for slot in self.slots.iter().filter(|slot| !slot.paused && partitions.contains(&slot.partition)) {
            list.add_partition(&slot.partition.topic, slot.partition.partition);
        }
        if list.count() > 0 {
            let refused = |code| ClientError::Assignment { partitions: partitions.len(), code };
            self.client.incremental_unassign(&list).map_err(refused)?;
        }
        self.slots.retain(|slot| !partitions.contains(&slot.partition));
        self.paused = self.slots.iter().filter(|slot| slot.paused).count();
        Ok(())
    }

    fn seek(&mut self, places: Vec<(TopicPartition, FetchFrom)>) -> Result<(), ClientError> {
        let mut again = Vec::with_capacity(places.len());
        for (partition, from) in places {
            let Some(index) = self.slots.iter().position(|slot| slot.partition == partition) else {
                continue;
            };
            again.push((self.slots.swap_remove(index), from));
        }
        let (mut off, mut on) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (slot, from) in &mut again {
            if !slot.paused {
                off.add_partition(&slot.partition.topic, slot.partition.partition);
            }
            add(&mut on, &slot.partition, *from)?;
            slot.from = *from;
            (slot.position, slot.at_end, slot.paused) = (starting_position(*from), false, false);
        }
        if again.is_empty() {
            return Ok(());
        }
        let refused = |code| ClientError::Assignment { partitions: again.len(), code };
        if off.count() > 0 {
            self.client.incremental_unassign(&off).map_err(refused)?;
        }
        self.client.incremental_assign(&on).map_err(refused)?;
        self.slots.extend(again.into_iter().map(|(slot, _)| slot));
        self.paused = self.slots.iter().filter(|slot| slot.paused).count();
        Ok(())
    }

    /// Sorts what was taken by partition and hands it over. Messages of one partition come in stretches, so most of
    /// them cost a comparison.
    fn hand_over(&mut self) {
        let mut last: Option<((usize, i32), usize)> = None;
        let mut fetched = std::mem::take(&mut self.fetched);
        let mut faults = Vec::new();
        for item in fetched.drain(..) {
            match item {
                Fetched::Record(message) => {
                    let route = message.route();
                    let slot = match last {
                        Some((key, slot)) if key == route => slot,
                        _ => match self.slot_of(route, || message.place()) {
                            Some(slot) => slot,
                            None => continue,
                        },
                    };
                    last = Some((route, slot));
                    let slot = &mut self.slots[slot];
                    slot.payload_bytes += message.size();
                    slot.records.push(message);
                }
                Fetched::End { topic, partition, offset, name } => {
                    if let Some(slot) = self.slot_of((topic, partition), || name) {
                        self.deliver(slot);
                        let slot = &mut self.slots[slot];
                        (slot.position, slot.at_end) = (Some(offset), true);
                        (slot.sink)(FetchEvent::End { offset });
                    }
                }
                Fetched::Fault { place, code } => faults.push((place, code)),
            }
        }
        self.fetched = fetched;
        for slot in 0..self.slots.len() {
            self.deliver(slot);
        }
        for (place, code) in faults {
            if !self.went_on(place.as_ref(), code) {
                self.report(place, code);
            }
        }
    }

    /// A client can be told that its offset is out of range although the broker has it, for instance while a topic
    /// is new. Then fetching goes on from there; nothing was lost, and the owner need not know.
    fn went_on(&mut self, place: Option<&TopicPartition>, code: RDKafkaErrorCode) -> bool {
        if !matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            return false;
        }
        let Some(slot) = place.and_then(|place| self.slots.iter().find(|slot| slot.partition == *place))
        else {
            return false;
        };
        let Some(position) = slot.position else { return false };
        let known = self.client.query_watermarks(&slot.topic, slot.partition.partition, WATERMARK_WAIT_MS);
        if !known.is_some_and(|(low, high)| (low..=high).contains(&position)) {
            return false;
        }
        let partition = slot.partition.clone();
        tracing::warn!(%partition, position, "an offset that the broker has was called out of range; going on");
        self.routes.clear();
        self.seek(vec![(partition, FetchFrom::Offset(position))]).is_ok()
    }

    fn slot_of(
        &mut self,
        route: (usize, i32),
        place: impl FnOnce() -> Option<TopicPartition>,
    ) -> Option<usize> {
        if let Some(slot) = self.routes.get(&route) {
            return Some(*slot);
        }
        let place = place()?;
        let slot = self.slots.iter().position(|slot| slot.partition == place)?;
        self.routes.insert(route, slot);
        Some(slot)
    }

    fn deliver(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        let Some(last) = slot.records.last() else { return };
        slot.position = Some(last.offset() + 1);
        slot.at_end = false;
        let records = std::mem::take(&mut slot.records);
        let permit = slot.buffer.take(counted_bytes(records.len(), std::mem::take(&mut slot.payload_bytes)));
        let high_watermark =
            self.client.watermarks(&slot.topic, slot.partition.partition).map(|(_, high)| high);
        (slot.sink)(FetchEvent::Records(FetchedBatch { records, permit, high_watermark }));
    }

    fn report(&mut self, place: Option<TopicPartition>, code: RDKafkaErrorCode) {
        let slot = place.as_ref().and_then(|place| self.slots.iter().find(|slot| slot.partition == *place));
        let (Some(place), Some(slot)) = (place, slot) else {
            tracing::warn!(?code, "the consumer reports a fault");
            return;
        };
        let fault = match code {
            // librdkafka retries these by itself.
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable => {
                tracing::warn!(partition = %place, ?code, "fetching is interrupted");
                return;
            }
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                ClientError::OffsetOutOfRange { partition: place, offset: slot.position.unwrap_or(-1) }
            }
            code => ClientError::Fetch { partition: place, code },
        };
        (slot.sink)(FetchEvent::Fault(fault));
    }

    /// With the budget spent, a partition whose owner has nothing to process would wait for ever if the owner must see
    /// it before it goes on with the others (a join by time does). Then those with more than their share are
    /// paused; only then, because what librdkafka has fetched ahead of a paused partition is thrown away.
    fn pause_the_fat_for_the_starving(&mut self) {
        let starving = |slot: &Slot| !slot.paused && !slot.at_end && slot.buffer.bytes() == 0;
        if !self.budget.is_spent() || !self.slots.iter().any(starving) {
            return;
        }
        let share = self.budget.limit() / self.slots.len().max(1);
        self.set_paused(true, |slot| !slot.paused && slot.buffer.bytes() > share);
    }

    fn resume_the_lean(&mut self) {
        let half_share = self.budget.limit() / self.slots.len().max(1) / 2;
        self.set_paused(false, |slot| slot.paused && slot.buffer.bytes() <= half_share);
    }

    /// Pauses by taking partitions off the assignment and resumes by assigning them at our own position. librdkafka's
    /// own pause goes on from its idea of the position, and a batch that ends with the end of a partition puts that one
    /// record too far (`rd_kafka_q_serve_rkmessages`): the next record would be lost.
    fn set_paused(&mut self, paused: bool, which: impl Fn(&Slot) -> bool) {
        let places: Vec<usize> =
            self.slots.iter().enumerate().filter(|(_, slot)| which(slot)).map(|(place, _)| place).collect();
        if places.is_empty() {
            return;
        }
        self.routes.clear();
        if let Err(fault) = self.take_off_or_put_on(&places, paused) {
            tracing::warn!(%fault, paused, "partitions could not be paused or resumed");
            return;
        }
        places.into_iter().for_each(|place| self.slots[place].paused = paused);
        self.paused = self.slots.iter().filter(|slot| slot.paused).count();
    }

    fn take_off_or_put_on(&self, places: &[usize], paused: bool) -> Result<(), ClientError> {
        let refused = |code| ClientError::Assignment { partitions: places.len(), code };
        let mut list = TopicPartitionList::with_capacity(places.len());
        for slot in places.iter().map(|place| &self.slots[*place]) {
            if paused {
                list.add_partition(&slot.partition.topic, slot.partition.partition);
            } else {
                add(&mut list, &slot.partition, slot.position.map_or(slot.from, FetchFrom::Offset))?;
            }
        }
        if paused {
            return self.client.incremental_unassign(&list).map_err(refused);
        }
        self.client.incremental_assign(&list).map_err(refused)
    }
}

fn starting_position(from: FetchFrom) -> Option<i64> {
    match from {
        FetchFrom::Offset(offset) => Some(offset),
        FetchFrom::Beginning | FetchFrom::End => None,
    }
}

fn add(
    list: &mut TopicPartitionList,
    partition: &TopicPartition,
    from: FetchFrom,
) -> Result<(), ClientError> {
    let offset = match from {
        FetchFrom::Beginning => Offset::Beginning,
        FetchFrom::End => Offset::End,
        FetchFrom::Offset(offset) => Offset::Offset(offset),
    };
    list.add_partition_offset(&partition.topic, partition.partition, offset).map_err(|fault| {
        let code = fault.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument);
        ClientError::Fetch { partition: partition.clone(), code }
    })
}
