//! A whole broker on a simulated disk that loses power at random: transactions over two topics and a group's offset
//! are there wholly or not at all, and what was acknowledged is there.
//!
//! `LOG_SERVER_SEEDS` sets how many seeds are played, `LOG_SERVER_SEED` which is the first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::Broker;
use crate::api::{Answer, ApiTable, RequestFault};
use crate::clock::SteppedClock;
use crate::config::{FsyncPolicy, LogServerConfig};
use crate::disk::Disk;
use crate::disk::simulated::SimulatedDisk;
use crate::journal::ProducerIdentity;
use crate::log::sync_journal::SyncJournal;
use crate::log::{Isolation, LogOptions, PartitionLog, Syncer};
use crate::protocol::request_frame;
use crate::records::{BatchBuilder, BatchHeader, NewRecord, Records};
use crate::topics::CreateTopic;

const SEEDS: u64 = 6;
const LIVES: u32 = 5;
const TOPICS: [&str; 2] = ["left", "right"];
/// A request that is not answered by then waits for a disk that has no power.
const MAX_SPINS: u32 = 2_000;
const STORAGE_ERROR: i16 = 56;
const NOT_AVAILABLE: i16 = 15;

#[test]
fn transactions_are_whole_after_every_power_cut() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = setting("LOG_SERVER_SEED").unwrap_or(0);
    let (mut committed, mut lives) = (0, 0);
    for seed in first..first + setting("LOG_SERVER_SEEDS").unwrap_or(SEEDS) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut story = Story::new(seed);
        for _ in 0..LIVES {
            // Tasks of the former life end with their runtime's turn.
            runtime.block_on(story.live());
            lives += 1;
        }
        committed += story.committed.len();
    }
    println!("{lives} lives, {committed} transactions committed");
    assert!(committed > 0);
}

/// What has been told, and what was acknowledged of it.
struct Story {
    seed: u64,
    random: StdRng,
    disk: SimulatedDisk,
    clock: Arc<SteppedClock>,
    /// KIP-890: partitions join by being written to, and the epoch rises with each transaction.
    implicit: bool,
    segment_bytes: u32,
    exist: bool,
    next: u64,
    committed: Vec<u64>,
    /// Its commit was sent, its answer never came.
    in_doubt: Option<u64>,
}

/// The broker of one life, and the logs that ask to be synced.
struct Life {
    broker: Arc<Broker>,
    syncs: Syncs,
    disk: SimulatedDisk,
    random: StdRng,
    writer: ProducerIdentity,
    sequence: i32,
}

/// The power has failed.
#[derive(Debug)]
struct Dark;

impl Story {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Story {
            seed,
            disk: SimulatedDisk::new(seed),
            clock: Arc::default(),
            implicit: random.random_bool(0.5),
            segment_bytes: random.random_range(500..5000),
            random,
            exist: false,
            next: 0,
            committed: Vec::new(),
            in_doubt: None,
        }
    }

    async fn live(&mut self) {
        let mut changes = self.random.random_range(1..600);
        loop {
            self.disk.fail_after(changes);
            let closed = self.try_live().await.unwrap_or(false);
            if closed && self.disk.has_power() && self.random.random_bool(0.5) {
                self.disk.crash();
            } else {
                self.disk.restart();
            }
            if self.exist {
                return;
            }
            changes += 100;
        }
    }

    /// True if the broker was closed.
    async fn try_live(&mut self) -> Result<bool, Dark> {
        let (disk, clock): (Arc<dyn Disk>, _) = (Arc::new(self.disk.clone()), Arc::clone(&self.clock));
        // Of a size that some lives fill often, and others never.
        let journal_bytes = self.random.random_range(500..20_000);
        let journal = SyncJournal::with_limit(Arc::clone(&disk), Path::new("/data"), journal_bytes);
        let (syncer, syncs) = Syncer::by_hand_with(Some(journal));
        let syncs = Syncs { syncer: Arc::clone(&syncer), requests: syncs, pending: Vec::new() };
        let options = LogOptions { fsync: FsyncPolicy::Always, syncer, disk, clock, topic_id: Uuid::nil() };
        let config = LogServerConfig::new("/data")
            .topic_default("segment.bytes", self.segment_bytes.to_string())
            .topic_default("index.interval.bytes", "100");
        let random = StdRng::seed_from_u64(self.random.random());
        let writer = ProducerIdentity { id: -1, epoch: -1 };
        let mut life = match Broker::open_on(config, options, None) {
            Ok(broker) => Life { broker, syncs, disk: self.disk.clone(), random, writer, sequence: 0 },
            Err(error) => {
                assert!(!self.disk.has_power(), "seed {}: {error}", self.seed);
                return Err(Dark);
            }
        };
        self.create_topics(&life)?;
        life.begin().await?;
        self.check(&mut life).await?;
        while self.disk.has_power() {
            match self.random.random_range(0..100) {
                0..94 => self.tell(&mut life).await?,
                94..97 => drop(life.broker.clean_up(i64::from(self.random.random::<u16>()))),
                97 => drop(life.broker.compact(i64::from(self.random.random::<u16>()))),
                _ => return Ok(life.close().await),
            }
        }
        Err(Dark)
    }

    fn create_topics(&mut self, life: &Life) -> Result<(), Dark> {
        for topic in TOPICS {
            let exists = life.broker.topics().get(topic).is_some();
            assert!(exists || !self.exist, "seed {}: topic {topic} is gone", self.seed);
            if !exists {
                let request = CreateTopic { name: topic.to_owned(), ..CreateTopic::default() };
                life.broker.topics().create(&request).map_err(|_| Dark)?;
            }
        }
        self.exist = true;
        Ok(())
    }

    /// One transaction.
    async fn tell(&mut self, life: &mut Life) -> Result<(), Dark> {
        let number = self.next;
        self.next += 1;
        life.write(number, self.implicit).await?;
        let is_commit = number % 4 != 3;
        if is_commit {
            self.in_doubt = Some(number);
        }
        life.end(is_commit, self.implicit).await?;
        self.in_doubt = None;
        if is_commit {
            self.committed.push(number);
        }
        Ok(())
    }

    async fn check(&mut self, life: &mut Life) -> Result<(), Dark> {
        let seen = TOPICS.map(|topic| life.read_committed(topic));
        let [Some(left), Some(right)] = seen else { return Err(Dark) };
        let offset = life.committed_offset().await?;
        let seed = self.seed;
        assert_eq!(left, right, "seed {seed}: both topics tell the same");
        if let Some(number) = self.in_doubt.take()
            && left.last() == Some(&number)
        {
            self.committed.push(number);
        }
        assert_eq!(left, self.committed, "seed {seed}");
        let expected = self.committed.last().map_or(-1, |number| *number as i64 + 1);
        assert_eq!(offset, expected, "seed {seed}: the offset goes with them");
        Ok(())
    }
}

/// The logs that ask to be synced.
struct Syncs {
    syncer: Arc<Syncer>,
    requests: Receiver<Arc<PartitionLog>>,
    pending: Vec<Arc<PartitionLog>>,
}

impl Syncs {
    /// Syncs all that wait: some in a round together, some by themselves, in any order.
    fn sync_all(&mut self, random: &mut StdRng) {
        self.pending.extend(self.requests.try_iter());
        self.pending.shuffle(random);
        while !self.pending.is_empty() {
            let count = random.random_range(1..=self.pending.len());
            self.syncer.round(self.pending.drain(..count).collect());
        }
    }
}

impl Life {
    /// Serves a request while logs are synced now and then, in any order.
    async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Dark> {
        let frame = request_frame(request, version, 7);
        let broker = Arc::clone(&self.broker);
        let mut serving = pin!(async move {
            let session = crate::session::Session::of_test(crate::SecurityProtocol::Plaintext);
            match ApiTable::get().serve(&broker, &session, frame).await? {
                Answer::Ready(frame) => Ok(frame),
                Answer::Pending(answer) => answer.await,
                Answer::None => Ok(Default::default()),
            }
        });
        let mut spins = 0;
        let answer: Result<_, RequestFault> = loop {
            tokio::select! {
                biased;
                answer = &mut serving => break answer,
                () = tokio::task::yield_now() => {}
            }
            if self.random.random_bool(0.5) {
                self.syncs.sync_all(&mut self.random);
            }
            spins += u32::from(!self.disk.has_power());
            if spins > MAX_SPINS {
                return Err(Dark);
            }
        };
        self.syncs.sync_all(&mut self.random);
        let mut body = answer.expect("requests are sound").to_bytes().slice(4..);
        ResponseHeader::decode(&mut body, R::Response::header_version(version)).expect("answers are sound");
        Ok(R::Response::decode(&mut body, version).expect("answers are sound"))
    }

    /// Nothing but a power cut is an excuse.
    fn expect(&self, code: i16) -> Result<(), Dark> {
        if code == 0 {
            return Ok(());
        }
        assert!(!self.disk.has_power(), "error {code} with power");
        assert!([STORAGE_ERROR, NOT_AVAILABLE, -1].contains(&code), "error {code} without power");
        Err(Dark)
    }

    async fn begin(&mut self) -> Result<(), Dark> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(60_000);
        let response = self.call(&request, 4).await?;
        self.expect(response.error_code)?;
        self.writer = ProducerIdentity { id: response.producer_id.0, epoch: response.producer_epoch };
        Ok(())
    }

    async fn write(&mut self, number: u64, implicit: bool) -> Result<(), Dark> {
        if !implicit {
            self.add_partitions().await?;
        }
        for topic in TOPICS {
            let partition =
                produce_request::PartitionProduceData::default().with_records(Some(self.batch(number)));
            let data = produce_request::TopicProduceData::default()
                .with_name(topic_name(topic))
                .with_partition_data(vec![partition]);
            let request = ProduceRequest::default()
                .with_acks(-1)
                .with_transactional_id(Some(transactional_id()))
                .with_topic_data(vec![data]);
            let response = self.call(&request, if implicit { 12 } else { 9 }).await?;
            let code = response.responses[0].partition_responses[0].error_code;
            // With the transaction's record lost, the partition is not in the transaction.
            if !self.disk.has_power() && code != 0 {
                return Err(Dark);
            }
            self.expect(code)?;
        }
        self.sequence += 1;
        self.commit_offset(number as i64 + 1, implicit).await
    }

    async fn add_partitions(&mut self) -> Result<(), Dark> {
        let topics = TOPICS.map(|topic| {
            add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![0])
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id())
            .with_v3_and_below_producer_id(ProducerId(self.writer.id))
            .with_v3_and_below_producer_epoch(self.writer.epoch)
            .with_v3_and_below_topics(topics.to_vec());
        let response = self.call(&request, 3).await?;
        self.expect(response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)
    }

    async fn commit_offset(&mut self, offset: i64, implicit: bool) -> Result<(), Dark> {
        if !implicit {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(transactional_id())
                .with_producer_id(ProducerId(self.writer.id))
                .with_producer_epoch(self.writer.epoch)
                .with_group_id(group_id());
            let response = self.call(&request, 3).await?;
            self.expect(response.error_code)?;
        }
        let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(None);
        let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPICS[0]))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id())
            .with_group_id(group_id())
            .with_producer_id(ProducerId(self.writer.id))
            .with_producer_epoch(self.writer.epoch)
            .with_topics(vec![topic]);
        let response = self.call(&request, if implicit { 5 } else { 3 }).await?;
        self.expect(response.topics[0].partitions[0].error_code)
    }

    async fn end(&mut self, is_commit: bool, implicit: bool) -> Result<(), Dark> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(ProducerId(self.writer.id))
            .with_producer_epoch(self.writer.epoch)
            .with_committed(is_commit);
        let response = self.call(&request, if implicit { 5 } else { 3 }).await?;
        self.expect(response.error_code)?;
        if implicit {
            self.writer = ProducerIdentity { id: response.producer_id.0, epoch: response.producer_epoch };
            self.sequence = 0;
        }
        Ok(())
    }

    /// The group's offset, -1 if it has none.
    async fn committed_offset(&mut self) -> Result<i64, Dark> {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic_name(TOPICS[0]))
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(group_id())
            .with_topics(Some(vec![topic]))
            .with_require_stable(true);
        let response = self.call(&request, 7).await?;
        self.expect(response.topics[0].partitions[0].error_code)?;
        Ok(response.topics[0].partitions[0].committed_offset)
    }

    /// What readers of committed records find; none without power.
    fn read_committed(&self, topic: &str) -> Option<Vec<u64>> {
        let log = self.broker.topics().log(topic, 0)?;
        let (mut numbers, mut next) = (Vec::new(), 0);
        loop {
            let fetched = match log.read(next, 1000, Isolation::ReadCommitted, true) {
                Ok(fetched) => fetched,
                Err(code) => {
                    assert!(!self.disk.has_power(), "{code} at {next}");
                    return None;
                }
            };
            if fetched.records.is_empty() {
                assert_eq!(fetched.watermarks.last_stable, fetched.watermarks.high, "no transaction is open");
                return Some(numbers);
            }
            let mut to_come: BTreeMap<i64, i64> =
                fetched.aborted.iter().map(|txn| (txn.first_offset, txn.producer_id)).collect();
            let mut skipped = BTreeSet::new();
            let mut rest = &fetched.records[..];
            while !rest.is_empty() {
                let header = BatchHeader::parse_checked(rest).expect("what is served is sound");
                let later = to_come.split_off(&(header.last_offset() + 1));
                skipped.extend(std::mem::replace(&mut to_come, later).into_values());
                if header.is_control() {
                    skipped.remove(&header.producer_id);
                } else if !skipped.contains(&header.producer_id) {
                    let records = Records::read(header, rest).expect("it can be read");
                    for record in records.iter() {
                        let value = record.expect("it can be read").value.expect("it has a value");
                        numbers.push(u64::from_be_bytes(value.try_into().expect("it has 8 bytes")));
                    }
                }
                next = header.next_offset();
                rest = &rest[header.size_bytes()..];
            }
        }
    }

    fn batch(&self, number: u64) -> Bytes {
        let mut builder = BatchBuilder::new(1_000)
            .producer(self.writer.id, self.writer.epoch, self.sequence)
            .transactional(false);
        let value = Some(Bytes::copy_from_slice(&number.to_be_bytes()));
        builder.push(&NewRecord { value, ..NewRecord::default() });
        builder.build().expect("it can be encoded")
    }

    async fn close(mut self) -> bool {
        self.broker.shutdown_token().cancel();
        for _ in 0..100 {
            self.syncs.sync_all(&mut self.random);
            tokio::task::yield_now().await;
        }
        self.broker.close().is_ok()
    }
}

fn transactional_id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str("writer"))
}

fn group_id() -> GroupId {
    GroupId(StrBytes::from_static_str("story"))
}

fn topic_name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}
