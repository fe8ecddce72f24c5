//! Requests of every API in every version, made by their shape and then damaged: the server answers, refuses or
//! waits, but never panics, never hangs and does not take more memory than frames of that size may.
//!
//! `LOG_SERVER_FRAMES` sets how many frames are sent, `LOG_SERVER_SEED` the seed. A frame that once did harm joins
//! `REGRESSIONS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use uuid::Uuid;

use crate::api::{Answer, ApiTable};
use crate::broker::Broker;
use crate::clock::SteppedClock;
use crate::config::{FsyncPolicy, LogServerConfig};
use crate::disk::simulated::SimulatedDisk;
use crate::listener::SecurityProtocol;
use crate::log::{LogOptions, Syncer};
use crate::protocol::{Vocabulary, take_frame};
use crate::records::{BatchBuilder, NewRecord};
use crate::session::Session;
use crate::topics::CreateTopic;

const FRAMES: u64 = 5_000;
/// A new broker now and then keeps what the requests have made small.
const FRAMES_PER_BROKER: u64 = 1_000;
/// No frame may keep the server busy for longer.
const MAX_BUSY: Duration = Duration::from_secs(20);
/// How often a request is looked at before it is taken to wait for something.
const MAX_POLLS: u32 = 30;
const REQUEST_LIMIT_BYTES: usize = 1024 * 1024;
const MAX_RESIDENT_KIB: u64 = 1024 * 1024;

/// Frames without their length, in hexadecimal digits.
const REGRESSIONS: &[&str] = &[
    // Metadata 9 with an array of 2^31 topics.
    "00030009000000070000000000ffffffff0f",
    // Produce 3 whose topic array says more than there is.
    "000000030000000700000000ffffffff000003e87fffffff",
];

const WORDS: &[&str] = &[
    "topic",
    "compacted",
    "group",
    "writer",
    "",
    "consumer",
    "range",
    "member",
    "__consumer_offsets",
    "missing",
    "cleanup.policy",
    "compact",
    "delete",
    "retention.ms",
    "1",
    "-1",
    "segment.bytes",
    "16384",
    "Stable",
    "Ongoing",
    "größe",
    "a/b",
];

static PANICS: AtomicUsize = AtomicUsize::new(0);
const THREAD: &str = "fuzzed";

#[test]
fn no_request_of_any_version_harms_the_server() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = setting("LOG_SERVER_SEED").unwrap_or(20_130_106);
    println!("seed {seed} (LOG_SERVER_SEED)");
    count_panics();
    let frames = setting("LOG_SERVER_FRAMES").unwrap_or(FRAMES);
    let mut fuzz = Fuzz::new(seed);
    for round in 0..frames.div_ceil(FRAMES_PER_BROKER) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().thread_name(THREAD).enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = broker(seed + round);
            for regression in REGRESSIONS {
                fuzz.serve(&broker, decode_hex(regression)).await;
            }
            for _ in 0..FRAMES_PER_BROKER.min(frames - round * FRAMES_PER_BROKER) {
                let frame = fuzz.frame();
                fuzz.serve(&broker, frame).await;
            }
            broker.shutdown_token().cancel();
        });
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
    let Fuzz { answered, refused, waiting, .. } = fuzz;
    println!(
        "{answered} answered, {refused} refused, {waiting} waiting, {} KiB resident",
        peak_resident_kib()
    );
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "something panicked");
    assert!(peak_resident_kib() < MAX_RESIDENT_KIB);
    assert!(answered > frames / 4, "too few requests are understood: {answered} of {frames}");
}

/// Counts panics of threads for blocking work, which the server survives.
fn count_panics() {
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some(THREAD) {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        former(info);
    }));
}

/// The most memory that the process had at any time; 0 where that cannot be known.
fn peak_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn broker(seed: u64) -> Arc<Broker> {
    let (syncer, _) = Syncer::by_hand();
    let disk = Arc::new(SimulatedDisk::new(seed));
    let options = LogOptions {
        fsync: FsyncPolicy::Never,
        syncer,
        disk,
        clock: Arc::new(SteppedClock::default()),
        topic_id: Uuid::nil(),
    };
    let broker = Broker::open_on(LogServerConfig::new("/data"), options, None).unwrap();
    for (name, policy) in [("topic", "delete"), ("compacted", "compact")] {
        let configs = [("cleanup.policy".to_owned(), policy.to_owned())].into();
        let request = CreateTopic { name: name.to_owned(), partitions: Some(2), configs };
        broker.topics().create(&request).unwrap();
    }
    broker
}

struct Fuzz {
    random: StdRng,
    blobs: Vec<Vec<u8>>,
    answered: u64,
    refused: u64,
    waiting: u64,
}

impl Fuzz {
    fn new(seed: u64) -> Self {
        let mut blobs = vec![Vec::new(), vec![0; 3], b"\x00\x01\x00\x00\x00\x01\x00\x05topic".to_vec()];
        for (producer, transactional) in [(-1, false), (0, false), (0, true), (1, true)] {
            let mut builder = BatchBuilder::new(1_000);
            if producer >= 0 {
                builder = builder.producer(producer, 0, 0);
            }
            if transactional {
                builder = builder.transactional(false);
            }
            let (key, value) = (Some(Bytes::from_static(b"key")), Some(Bytes::from_static(b"value")));
            builder.push(&NewRecord { key, value, headers: Vec::new() });
            blobs.push(builder.build().unwrap().to_vec());
        }
        Fuzz { random: StdRng::seed_from_u64(seed), blobs, answered: 0, refused: 0, waiting: 0 }
    }

    fn frame(&mut self) -> Bytes {
        let entries = ApiTable::get().entries();
        let entry = entries.choose(&mut self.random).unwrap();
        let version = self.random.random_range(entry.min_version..=entry.max_version);
        let flexible = version >= entry.flexible_from;
        let vocabulary = Vocabulary { words: WORDS, blobs: &self.blobs };
        let mut body = entry.shape.generate(version, flexible, &vocabulary, &mut self.random);
        if self.random.random_bool(0.4) {
            self.damage(&mut body);
        }
        let mut frame = BytesMut::new();
        frame.put_i16(entry.key);
        frame.put_i16(version);
        frame.put_i32(7);
        let client_id = StrBytes::from_static_str("fuzz");
        frame.put_i16(client_id.len() as i16);
        frame.put_slice(client_id.as_bytes());
        if flexible {
            frame.put_u8(0);
        }
        frame.put_slice(&body);
        frame.freeze()
    }

    fn damage(&mut self, body: &mut Vec<u8>) {
        for _ in 0..self.random.random_range(1..4) {
            let at = self.random.random_range(0..=body.len());
            match self.random.random_range(0..5) {
                0 => body.truncate(at),
                1 => body.insert(at, self.random.random()),
                2 => drop(body.splice(at..at, [0x7f, 0xff, 0xff, 0xff])),
                3 => drop(body.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
                _ if at < body.len() => {
                    body[at] = *[0, 1, 2, 0x7f, 0x80, 0xff].choose(&mut self.random).unwrap()
                }
                _ => {}
            }
        }
    }

    /// Sends the frame through the frame decoder, in pieces, and has it served.
    async fn serve(&mut self, broker: &Arc<Broker>, frame: Bytes) {
        let mut stream = BytesMut::new();
        stream.put_i32(frame.len() as i32);
        stream.put_slice(&frame);
        let rest = stream.split_off(self.random.random_range(0..stream.len()));
        if let Some(whole) = take_frame(&mut stream, REQUEST_LIMIT_BYTES).unwrap() {
            panic!("a frame of {} bytes came too early", whole.len());
        }
        stream.extend_from_slice(&rest);
        let taken = take_frame(&mut stream, REQUEST_LIMIT_BYTES).unwrap();
        assert_eq!(taken.as_ref(), Some(&frame));
        let begun = Instant::now();
        match self.outcome(broker, frame.clone()).await {
            Some(true) => self.answered += 1,
            Some(false) => self.refused += 1,
            None => self.waiting += 1,
        }
        let busy = begun.elapsed();
        assert!(busy < MAX_BUSY, "{busy:?} for {}", encode_hex(&frame));
    }

    /// True if it was answered, false if the connection would be closed, none if it waits.
    async fn outcome(&self, broker: &Arc<Broker>, frame: Bytes) -> Option<bool> {
        let session = Session::of_test(SecurityProtocol::Plaintext);
        let serving = async {
            match ApiTable::get().serve(broker, &session, frame).await {
                Ok(Answer::Pending(answer)) => answer.await.is_ok(),
                Ok(Answer::Ready(_) | Answer::None) => true,
                Err(_) => false,
            }
        };
        let patience = async {
            for _ in 0..MAX_POLLS {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            answered = serving => Some(answered),
            () = patience => None,
        }
    }
}

fn decode_hex(digits: &str) -> Bytes {
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
