//! The fetching of a consumer: finds leaders, keeps each broker busy, hands records to their owners.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::PartitionData;
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answer::{self, Taken};
use super::buffer::{FetchBudget, FetchBuffer, counted_bytes};
use super::compression::Decompressor;
use super::consumer::{Command, FetchAssignment, FetchEvent, FetchFrom, FetchedBatch};
use super::lane::{self, Answer, Broker, LANES, Lane};
use super::locate::{Located, Wanted, locate};
use super::settings::FetchSettings;
use super::slot::{Place, Slot};
use crate::client::ClientError;
use crate::client::wire::{Isolation, WireClient, WireError};
use crate::record::TopicPartition;

/// A partition's part of the buffer is not cut smaller than this, be there ever so many partitions.
const SHARE_MIN_BYTES: usize = 32 << 10;
/// A partition without leader, or whose topic is gone, is given up after this time.
const NO_LEADER_MAX: Duration = Duration::from_secs(60);
/// How much weight the newest answer has in a partition's rate of expansion.
const EXPANSION_WEIGHT: f64 = 0.5;

/// What ends beside the fetcher.
enum Done {
    Located { tokens: HashSet<u64>, outcome: Result<Vec<Located>, WireError> },
    Answered(Answer),
}

pub(super) struct Fetcher {
    pub(super) wire: WireClient,
    pub(super) settings: FetchSettings,
    pub(super) budget: Arc<FetchBudget>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) last_fault: Arc<Mutex<Option<ClientError>>>,
    slots: Vec<Slot>,
    brokers: Vec<Broker>,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    decompressor: Decompressor,
    next_token: u64,
}

impl Fetcher {
    pub(super) fn new(
        wire: WireClient,
        settings: FetchSettings,
        budget: Arc<FetchBudget>,
        commands: mpsc::UnboundedReceiver<Command>,
        last_fault: Arc<Mutex<Option<ClientError>>>,
    ) -> Self {
        Fetcher {
            wire,
            settings,
            budget,
            commands,
            last_fault,
            slots: Vec::new(),
            brokers: Vec::new(),
            under_way: FuturesUnordered::new(),
            decompressor: Decompressor::default(),
            next_token: 0,
        }
    }

    /// Serves until the consumer is closed.
    pub(super) async fn run(mut self) {
        loop {
            self.locate();
            self.fetch();
            let now = Instant::now();
            let wake = self.slots.iter().filter_map(|slot| slot.not_before).filter(|time| *time > now).min();
            let pause = async {
                match wake {
                    Some(time) => tokio::time::sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    None | Some(Command::Close) => return,
                    Some(command) => self.obey(command),
                },
                Some(done) = self.under_way.next() => match done {
                    Done::Located { tokens, outcome } => self.take_located(&tokens, outcome),
                    Done::Answered(answer) => self.take_answer(answer),
                },
                () = self.budget.freed() => {}
                () = pause => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // A caller that went away does not want the answer.
        match command {
            Command::Assign(partitions, reply) => {
                partitions.into_iter().for_each(|assignment| self.assign(assignment));
                let _ = reply.send(());
            }
            Command::Unassign(partitions, reply) => {
                self.slots.retain(|slot| !partitions.contains(&slot.partition));
                let _ = reply.send(());
            }
            Command::Seek(places, reply) => {
                places.into_iter().for_each(|(partition, from)| self.seek(&partition, from));
                let _ = reply.send(());
            }
            Command::Close => {}
        }
    }

    fn assign(&mut self, assignment: FetchAssignment) {
        let FetchAssignment { partition, from, sink } = assignment;
        self.slots.retain(|slot| slot.partition != partition);
        self.next_token += 1;
        let buffer = FetchBuffer::new(&self.budget);
        self.slots.push(Slot::new(self.next_token, partition, from, sink, buffer));
    }

    fn seek(&mut self, partition: &TopicPartition, from: FetchFrom) {
        self.next_token += 1;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.partition == *partition) {
            slot.seek(self.next_token, from);
        }
    }

    /// Asks for the leaders of partitions whose leader is not known: all at once, but those that failed before each by
    /// itself, so that one topic that is gone does not keep the others.
    fn locate(&mut self) {
        let now = Instant::now();
        let unknown = self.slots.iter_mut().filter(|slot| slot.place == Place::Unknown && slot.is_due(now));
        let mut fresh = Vec::new();
        let mut requests = Vec::new();
        for slot in unknown {
            slot.place = Place::Asked;
            slot.not_before = None;
            let wanted = Wanted::of(slot);
            if slot.failures() == 0 { fresh.push(wanted) } else { requests.push(vec![wanted]) }
        }
        if !fresh.is_empty() {
            requests.push(fresh);
        }
        for wanted in requests {
            let tokens = wanted.iter().map(|wanted| wanted.token).collect();
            let located = locate(self.wire.clone(), self.settings.isolation, wanted);
            self.under_way.push(Box::pin(async move { Done::Located { tokens, outcome: located.await } }));
        }
    }

    fn take_located(&mut self, tokens: &HashSet<u64>, outcome: Result<Vec<Located>, WireError>) {
        let found = match outcome {
            Ok(found) => found,
            Err(error) => {
                self.note_fault(&error);
                for slot in self.slots.iter_mut().filter(|slot| tokens.contains(&slot.token)) {
                    bear(slot, &error);
                }
                return;
            }
        };
        for Located { token, leader, leader_epoch, position, range } in found {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.token == token) else { continue };
            if let Some((low, high)) = range
                && !(low..=high).contains(&position)
            {
                let partition = slot.partition.clone();
                slot.stop(ClientError::OffsetOutOfRange { partition, offset: position });
                continue;
            }
            if slot.suspect {
                let partition = &slot.partition;
                tracing::warn!(%partition, position, "an offset that the broker has was called out of range; going on");
                slot.suspect = false;
            }
            slot.position = Some(position);
            slot.place = Place::Leader(Arc::clone(&leader), leader_epoch);
            if !self.brokers.iter().any(|broker| broker.address == leader) {
                self.brokers.push(Broker::new(leader));
            }
        }
    }

    /// Sends a request on each lane that is free and has something to ask for.
    fn fetch(&mut self) {
        let led = |address: &Arc<str>, slots: &[Slot]| {
            slots.iter().any(|slot| matches!(&slot.place, Place::Leader(leader, _) if leader == address))
        };
        let slots = &self.slots;
        self.brokers.retain(|broker| !broker.is_idle() || led(&broker.address, slots));
        for broker in 0..self.brokers.len() {
            for lane in LANES {
                if !self.brokers[broker].lane(lane).busy {
                    self.fetch_from(broker, lane);
                }
            }
        }
    }

    fn fetch_from(&mut self, broker: usize, lane: Lane) {
        let now = Instant::now();
        let news_busy = self.brokers[broker].lane(Lane::News).busy;
        let address = Arc::clone(&self.brokers[broker].address);
        let behind = self.slots.iter().filter(|slot| !slot.at_end).count();
        let share = self.budget.share(behind).max(SHARE_MIN_BYTES);
        // Fetched on at half, so that the tasks have work while an answer is under way.
        let room = share / 2;
        let fits_lane = |slot: &Slot| match lane {
            Lane::News => slot.at_end,
            Lane::Backlog => !slot.at_end || news_busy,
        };
        let mut asked: Vec<&mut Slot> = self
            .slots
            .iter_mut()
            .filter(|slot| !slot.under_way && slot.is_due(now) && slot.buffer.bytes() <= room)
            .filter(|slot| matches!(&slot.place, Place::Leader(leader, _) if *leader == address))
            .filter(|slot| fits_lane(slot))
            .collect();
        if asked.is_empty() {
            return;
        }
        // The longest without records first: a broker may leave no room for the last ones.
        asked.sort_by(|a, b| {
            a.buffer.bytes().cmp(&b.buffer.bytes()).then_with(|| a.partition.topic.cmp(&b.partition.topic))
        });
        let request = lane::request(&asked, lane, |_| room, &self.settings);
        let tokens = asked.iter().map(|slot| slot.token).collect();
        asked.into_iter().for_each(|slot| slot.under_way = true);
        let state = self.brokers[broker].lane_mut(lane);
        state.busy = true;
        let wire = self.wire.config().clone();
        let asking = lane::ask(address, lane, tokens, state.connection.take(), wire, request);
        self.under_way.push(Box::pin(async move { Done::Answered(asking.await) }));
    }

    fn take_answer(&mut self, answer: Answer) {
        let Answer { broker, lane, asked, connection, outcome } = answer;
        if let Some(broker) = self.brokers.iter_mut().find(|known| known.address == broker) {
            *broker.lane_mut(lane) = lane::LaneState { connection, busy: false };
        }
        for slot in self.slots.iter_mut().filter(|slot| asked.contains(&slot.token)) {
            slot.under_way = false;
        }
        let outcome = outcome.and_then(|answer| match ResponseError::try_from_code(answer.error_code) {
            None => Ok(answer),
            Some(code) => Err(refused(&broker, "the request", code)),
        });
        match outcome {
            Ok(answer) => self.take_partitions(&broker, &asked, answer),
            Err(error) => {
                self.note_fault(&error);
                for slot in self.slots.iter_mut().filter(|slot| asked.contains(&slot.token)) {
                    bear(slot, &error);
                }
            }
        }
    }

    fn take_partitions(&mut self, broker: &str, asked: &HashSet<u64>, answer: FetchResponse) {
        let slots = self.slots.iter_mut().filter(|slot| asked.contains(&slot.token));
        let mut slots: FxHashMap<TopicPartition, &mut Slot> =
            slots.map(|slot| (slot.partition.clone(), slot)).collect();
        for topic in answer.responses {
            let name: Arc<str> = topic.topic.0.as_str().into();
            for mut data in topic.partitions {
                let place = TopicPartition::new(Arc::clone(&name), data.partition_index);
                let Some(slot) = slots.get_mut(&place) else { continue };
                match ResponseError::try_from_code(data.error_code) {
                    None => take_partition(slot, &mut data, &self.settings, &mut self.decompressor),
                    Some(ResponseError::OffsetOutOfRange) => {
                        slot.suspect = true;
                        slot.retry(Instant::now());
                    }
                    Some(code) => bear(slot, &refused(broker, &slot.partition.to_string(), code)),
                }
            }
        }
    }

    fn note_fault(&self, error: &WireError) {
        tracing::warn!(%error, "fetching is interrupted");
        let fault = ClientError::Broker(error.clone());
        *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }
}

/// Hands what was fetched to the partition's owner.
fn take_partition(
    slot: &mut Slot,
    data: &mut PartitionData,
    settings: &FetchSettings,
    decompressor: &mut Decompressor,
) {
    slot.recovered();
    let from = slot.position.unwrap_or(0);
    let Taken { records, held_bytes, sent_bytes, next, unreadable } =
        answer::read(data, from, settings, decompressor);
    let counted = counted_bytes(records.len(), held_bytes);
    if sent_bytes > 0 && counted > 0 {
        let newest = counted as f64 / sent_bytes as f64;
        slot.expansion += (newest - slot.expansion) * EXPANSION_WEIGHT;
    }
    // Beyond the last stable offset nothing is to be read: for such a reader the partition ends there.
    let end = match settings.isolation {
        Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
        _ => data.high_watermark,
    };
    let was_at_end = std::mem::replace(&mut slot.at_end, next >= end);
    slot.position = Some(next);
    if !records.is_empty() {
        let span = tracing::trace_span!("fetch", partition = %slot.partition, records = records.len());
        let _fetch = span.entered();
        let permit = slot.buffer.take(counted);
        (slot.sink)(FetchEvent::Records(FetchedBatch { records, permit, high_watermark: Some(end) }));
    }
    if let Some(reason) = unreadable {
        let partition = slot.partition.clone();
        slot.stop(ClientError::Batch { partition, offset: next, reason });
    } else if slot.at_end && (next > from || !was_at_end) {
        (slot.sink)(FetchEvent::End { offset: next });
    }
}

/// Tries again later where that may help, else tells the partition's owner.
fn bear(slot: &mut Slot, error: &WireError) {
    let now = Instant::now();
    let lasting = slot.failing_since.is_some_and(|since| now - since >= NO_LEADER_MAX);
    let unreachable = error.code().is_none() && !matches!(error, WireError::NoLeader { .. });
    if (error.is_retriable() || error.is_misrouted()) && (unreachable || !lasting) {
        return slot.retry(now);
    }
    let partition = slot.partition.clone();
    slot.stop(ClientError::FetchRefused { partition, source: error.clone() });
}

fn refused(broker: &str, subject: &str, code: ResponseError) -> WireError {
    WireError::Refused {
        broker: broker.to_owned(),
        api: "Fetch",
        subject: subject.to_owned(),
        code,
        message: String::new(),
    }
}
