//! kill -9 within transactions: readers of committed records see each transaction wholly or not at all.
//!
//! Each transaction writes one number to two topics and commits the next number as a group's offset; every fourth is
//! aborted. Whenever the server is killed, the numbers in both topics and the offset must tell the same story, with
//! everything in it that was acknowledged, and nothing that was aborted or never ended.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::channel;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::client::{Client, ServerProcess, create_topic, produce_request, topic_name};

/// How often the server is killed, unless `LOG_SERVER_ROUNDS` says otherwise.
const ROUNDS: u32 = 10;
const TOPICS: [&str; 2] = ["left", "right"];
const GROUP: &str = "story";
const ID: &str = "writer";

#[test]
fn transactions_are_whole_after_every_kill() {
    let seed = std::env::var("LOG_SERVER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_130_102);
    println!("seed {seed} (LOG_SERVER_SEED)");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let mut story = Story::default();
    let rounds =
        std::env::var("LOG_SERVER_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let mut server = ServerProcess::start(directory.path(), &[]);
        let mut client = Client::connect(server.address).expect("the server listens");
        if round == 0 {
            TOPICS.iter().for_each(|topic| create_topic(&mut client, topic));
        }
        let mut writer = Writer::begin(&mut client).expect("the writer gets its epoch");
        story.check(&mut client, round);
        let kill_after = random.random_range(1..60);
        let (go, wait) = channel::<()>();
        let killer = std::thread::spawn(move || {
            wait.recv().expect("the writer lives");
            server.kill();
        });
        for transaction in 0.. {
            if transaction == kill_after {
                go.send(()).expect("the killer lives");
            }
            if story.tell(&mut client, &mut writer).is_err() {
                break;
            }
        }
        killer.join().expect("the killer ends");
    }
    let server = ServerProcess::start(directory.path(), &[]);
    let mut client = Client::connect(server.address).expect("the server listens");
    Writer::begin(&mut client).expect("the writer gets its epoch");
    story.check(&mut client, rounds);
    println!("{rounds} kills, {} of {} transactions committed", story.committed.len(), story.next);
    assert!(story.committed.len() > 10, "only {} transactions", story.committed.len());
    server.terminate();
}

/// What has been acknowledged.
#[derive(Default)]
struct Story {
    next: u64,
    committed: Vec<u64>,
    /// Its commit was sent, its answer never came.
    in_doubt: Option<u64>,
}

impl Story {
    /// One transaction.
    fn tell(&mut self, client: &mut Client, writer: &mut Writer) -> io::Result<()> {
        let number = self.next;
        self.next += 1;
        writer.write(client, number)?;
        let is_commit = number % 4 != 3;
        if is_commit {
            self.in_doubt = Some(number);
        }
        writer.end(client, is_commit)?;
        self.in_doubt = None;
        if is_commit {
            self.committed.push(number);
        }
        Ok(())
    }

    /// Compares with what readers of committed records see.
    fn check(&mut self, client: &mut Client, round: u32) {
        let seen = TOPICS.map(|topic| read_committed(client, topic));
        assert_eq!(seen[0], seen[1], "round {round}: both topics tell the same");
        if let Some(number) = self.in_doubt.take()
            && seen[0].last() == Some(&number)
        {
            self.committed.push(number);
        }
        assert_eq!(seen[0], self.committed, "round {round}");
        let expected = self.committed.last().map_or(-1, |number| *number as i64 + 1);
        assert_eq!(committed_offset(client), expected, "round {round}: the offset goes with them");
    }
}

/// A transactional producer of one generation.
struct Writer {
    id: ProducerId,
    epoch: i16,
    sequence: i32,
}

impl Writer {
    fn begin(client: &mut Client) -> io::Result<Self> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(60_000);
        let response = client.call(&request, 4)?;
        assert_eq!(response.error_code, 0);
        Ok(Self { id: response.producer_id, epoch: response.producer_epoch, sequence: 0 })
    }

    /// Everything of a transaction but its end.
    fn write(&mut self, client: &mut Client, number: u64) -> io::Result<()> {
        let topics = TOPICS.map(|topic| {
            add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![0])
        });
        let adding = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id())
            .with_v3_and_below_producer_id(self.id)
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics.to_vec());
        let added = client.call(&adding, 3)?;
        let result = &added.results_by_topic_v3_and_below[1].results_by_partition[0];
        assert_eq!(result.partition_error_code, 0);
        for topic in TOPICS {
            let request =
                produce_request(topic, self.batch(number)).with_transactional_id(Some(transactional_id()));
            let produced = client.call(&request, 9)?;
            assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
        }
        self.sequence += 1;
        self.commit_offset(client, number as i64 + 1)
    }

    fn commit_offset(&self, client: &mut Client, offset: i64) -> io::Result<()> {
        let adding = AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_group_id(group_id());
        assert_eq!(client.call(&adding, 3)?.error_code, 0);
        let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default()
            .with_committed_offset(offset)
            .with_committed_metadata(None);
        let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPICS[0]))
            .with_partitions(vec![partition]);
        let commit = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id())
            .with_group_id(group_id())
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic]);
        let committed = client.call(&commit, 3)?;
        assert_eq!(committed.topics[0].partitions[0].error_code, 0);
        Ok(())
    }

    fn end(&self, client: &mut Client, is_commit: bool) -> io::Result<()> {
        let ending = EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_committed(is_commit);
        assert_eq!(client.call(&ending, 3)?.error_code, 0);
        Ok(())
    }

    fn batch(&self, number: u64) -> Bytes {
        let record = Record {
            transactional: true,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: self.id.0,
            producer_epoch: self.epoch,
            timestamp_type: TimestampType::Creation,
            offset: 0,
            sequence: self.sequence,
            timestamp: 1_000,
            key: None,
            value: Some(Bytes::copy_from_slice(&number.to_be_bytes())),
            headers: Default::default(),
        };
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, [&record], &options).expect("records can be encoded");
        bytes.freeze()
    }
}

/// The numbers that a reader of committed records finds, by the rules that clients follow: records of a producer are
/// skipped from where the answer says that its aborted transaction began, up to its marker.
fn read_committed(client: &mut Client, topic: &str) -> Vec<u64> {
    let (mut numbers, mut next) = (Vec::new(), 0);
    loop {
        let partition = fetch_request::FetchPartition::default()
            .with_fetch_offset(next)
            .with_partition_max_bytes(1 << 20);
        let topic = fetch_request::FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(1)
            .with_max_bytes(1 << 20)
            .with_topics(vec![topic]);
        let response = client.call(&request, 11).expect("the fetch is answered");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "fetch at offset {next}");
        let mut records = partition.records.clone().unwrap_or_default();
        if records.is_empty() {
            assert_eq!(partition.last_stable_offset, partition.high_watermark, "no transaction is open");
            return numbers;
        }
        let mut aborted: Vec<(i64, i64)> = partition
            .aborted_transactions
            .iter()
            .flatten()
            .map(|aborted| (aborted.first_offset, aborted.producer_id.0))
            .collect();
        aborted.sort_unstable();
        let mut skipped = BTreeSet::new();
        let mut aborted = aborted.into_iter().peekable();
        for set in RecordBatchDecoder::decode_all(&mut records).expect("the batches are sound") {
            let from = next;
            for record in set.records.into_iter().filter(|record| record.offset >= from) {
                next = record.offset + 1;
                while let Some((_, id)) = aborted.next_if(|(first, _)| *first <= record.offset) {
                    skipped.insert(id);
                }
                if record.control {
                    skipped.remove(&record.producer_id);
                } else if !skipped.contains(&record.producer_id) {
                    let value = record.value.expect("records have values");
                    numbers.push(u64::from_be_bytes(value[..].try_into().expect("values have 8 bytes")));
                }
            }
        }
    }
}

/// The group's offset, -1 if it has none.
fn committed_offset(client: &mut Client) -> i64 {
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(topic_name(TOPICS[0]))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id())
        .with_topics(Some(vec![topic]))
        .with_require_stable(true);
    let response = client.call(&request, 7).expect("the offset is answered");
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0, "no transaction is open");
    partition.committed_offset
}

fn transactional_id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str(ID))
}

fn group_id() -> GroupId {
    GroupId(StrBytes::from_static_str(GROUP))
}
