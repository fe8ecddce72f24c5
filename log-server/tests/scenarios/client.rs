//! A small blocking client and a server process for the scenarios.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use kafka_protocol::records::{
    Compression, NO_SEQUENCE, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

/// How long an answer may take before the scenario fails.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A server process; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts the program on a free port and waits for its line.
    pub(crate) fn start(data_dir: &Path, options: &[&str]) -> Self {
        Self::start_by(&[], data_dir, options)
    }

    /// As [`ServerProcess::start`], through a program (such as `env`) that takes a command line.
    pub(crate) fn start_by(launcher: &[&str], data_dir: &Path, options: &[&str]) -> Self {
        let mut words = launcher.iter().copied().chain([env!("CARGO_BIN_EXE_log-server")]);
        let mut child = Command::new(words.next().expect("the server's own path is there"))
            .args(words)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(options)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("a line comes");
        let address = line.trim().strip_prefix("ready ").expect("the line is `ready ADDRESS`").parse();
        ServerProcess { child, address: address.expect("the address can be read") }
    }

    /// As kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the server is killed");
        self.child.wait().expect("the server ends");
    }

    /// As kill: waits for the clean end.
    pub(crate) fn terminate(mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
        assert!(self.child.wait().expect("the server ends").success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection, one request at a time.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Client { stream, correlation_id: 0 })
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        self.send(request, version)?;
        self.receive::<R>(version)
    }

    pub(crate) fn send<R: Request>(&mut self, request: &R, version: i16) -> io::Result<()> {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        frame.put_i16(R::KEY);
        frame.put_i16(version);
        frame.put_i32(self.correlation_id);
        frame.put_i16(-1);
        if R::header_version(version) >= 2 {
            frame.put_u8(0);
        }
        request.encode(&mut frame, version).map_err(io::Error::other)?;
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame)
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> io::Result<R::Response> {
        self.receive_as::<R>(version, self.correlation_id)
    }

    /// The correlation id that the next request will have.
    pub(crate) fn next_correlation_id(&self) -> i32 {
        self.correlation_id + 1
    }

    /// Waits for the answer to an earlier request.
    pub(crate) fn receive_as<R: Request>(&mut self, version: i16, id: i32) -> io::Result<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version));
        assert_eq!(header.map_err(io::Error::other)?.correlation_id, id);
        R::Response::decode(&mut frame, version).map_err(io::Error::other)
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A batch of records with these values, by an idempotent producer if one is given (id, first sequence number).
pub(crate) fn batch(values: impl IntoIterator<Item = u64>, producer: Option<(i64, i32)>) -> Bytes {
    let (producer_id, sequence) = producer.unwrap_or((-1, NO_SEQUENCE));
    let records: Vec<Record> = values
        .into_iter()
        .enumerate()
        .map(|(at, value)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch: if producer.is_some() { 0 } else { -1 },
            timestamp_type: TimestampType::Creation,
            offset: at as i64,
            // The encoder puts records into one batch as long as their sequences rise with their offsets.
            sequence: sequence + at as i32,
            timestamp: 1_000,
            key: None,
            value: Some(Bytes::copy_from_slice(&value.to_be_bytes())),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("records can be encoded");
    bytes.freeze()
}

pub(crate) fn produce_request(topic: &str, records: Bytes) -> ProduceRequest {
    let partition = produce_request::PartitionProduceData::default().with_records(Some(records));
    ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![
        produce_request::TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![partition]),
    ])
}

/// Offsets and values of all records of partition 0.
pub(crate) fn read_all(client: &mut Client, topic: &str) -> Vec<(i64, u64)> {
    let mut all = Vec::new();
    loop {
        let next = all.last().map_or(0, |(offset, _)| offset + 1);
        let partition = fetch_request::FetchPartition::default()
            .with_fetch_offset(next)
            .with_partition_max_bytes(1 << 20);
        let request =
            FetchRequest::default().with_replica_id(BrokerId(-1)).with_max_bytes(1 << 20).with_topics(vec![
                fetch_request::FetchTopic::default()
                    .with_topic(topic_name(topic))
                    .with_partitions(vec![partition]),
            ]);
        let response = client.call(&request, 11).expect("the fetch is answered");
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "fetch at offset {next}");
        let mut records = partition.records.clone().unwrap_or_default();
        if records.is_empty() {
            return all;
        }
        for set in RecordBatchDecoder::decode_all(&mut records).expect("the batches are sound") {
            for record in set.records.into_iter().filter(|record| record.offset >= next) {
                let value = record.value.expect("records have values");
                all.push((
                    record.offset,
                    u64::from_be_bytes(value[..].try_into().expect("values have 8 bytes")),
                ));
            }
        }
    }
}

/// Creates the topic by asking for its metadata.
pub(crate) fn create_topic(client: &mut Client, topic: &str) {
    let wanted = metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(true);
    let response = client.call(&request, 9).expect("metadata is answered");
    assert_eq!(response.topics[0].error_code, 0);
}
