use std::io::{Read, Write};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::record::FetchedRecord;

const BASE_OFFSET: i64 = 1_000;
const BASE_TIMESTAMP_MS: i64 = 1_700_000_000_000;

#[derive(Debug, Clone)]
struct Written {
    offset_delta: i32,
    timestamp_delta_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}

fn write_record(out: &mut Vec<u8>, record: &Written) {
    let mut body = vec![0];
    put(&mut body, record.timestamp_delta_ms);
    put(&mut body, i64::from(record.offset_delta));
    put_bytes(&mut body, record.key.as_deref());
    put_bytes(&mut body, record.value.as_deref());
    put(&mut body, record.headers.len() as i64);
    for (name, value) in &record.headers {
        put_bytes(&mut body, Some(name.as_bytes()));
        put_bytes(&mut body, value.as_deref());
    }
    put(out, body.len() as i64);
    out.extend_from_slice(&body);
}

fn compress(codec: i16, records: &[u8]) -> Vec<u8> {
    match codec {
        1 => {
            let mut out = Vec::new();
            flate2::read::GzEncoder::new(records, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
            out
        }
        2 => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for block in records.chunks(100) {
                let block = snap::raw::Encoder::new().compress_vec(block).unwrap();
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            }
            out
        }
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).unwrap();
            encoder.finish().unwrap()
        }
        4 => zstd::stream::encode_all(records, 1).unwrap(),
        _ => records.to_vec(),
    }
}

/// The layout of KIP-98, written down a second time.
fn write_batch(attributes: i16, producer_id: i64, records: &[Written]) -> Vec<u8> {
    let mut body = Vec::new();
    records.iter().for_each(|record| write_record(&mut body, record));
    let last = records.last().map_or(0, |record| record.offset_delta);
    let mut checked = Vec::new();
    checked.extend_from_slice(&attributes.to_be_bytes());
    checked.extend_from_slice(&last.to_be_bytes());
    checked.extend_from_slice(&BASE_TIMESTAMP_MS.to_be_bytes());
    checked.extend_from_slice(&(BASE_TIMESTAMP_MS + 5).to_be_bytes());
    checked.extend_from_slice(&producer_id.to_be_bytes());
    checked.extend_from_slice(&0i16.to_be_bytes());
    checked.extend_from_slice(&0i32.to_be_bytes());
    checked.extend_from_slice(&(records.len() as i32).to_be_bytes());
    checked.extend_from_slice(&compress(attributes & CODEC_MASK, &body));
    let mut batch = BASE_OFFSET.to_be_bytes().to_vec();
    batch.extend_from_slice(&((checked.len() + CHECKED_FROM - PREFIX_BYTES) as i32).to_be_bytes());
    batch.extend_from_slice(&7i32.to_be_bytes());
    batch.push(MAGIC);
    batch.extend_from_slice(&crc32c::crc32c(&checked).to_be_bytes());
    batch.extend_from_slice(&checked);
    batch
}

fn records() -> impl Strategy<Value = Vec<Written>> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    let record = (-1_000i64..1_000_000, bytes(), bytes(), vec(("[a-z]{0,5}", bytes()), 0..3));
    vec(record, 1..50).prop_map(|records| {
        let written = |(place, (timestamp_delta_ms, key, value, headers))| Written {
            // Compaction leaves gaps.
            offset_delta: place as i32 * 3,
            timestamp_delta_ms,
            key,
            value,
            headers,
        };
        records.into_iter().enumerate().map(written).collect()
    })
}

fn read_all(bytes: Vec<u8>, from: i64) -> Result<Vec<FetchedMessage>, Unreadable> {
    let (mut bytes, mut into) = (Bytes::from(bytes), Vec::new());
    let mut decompressor = Decompressor::default();
    while let Some(batch) = RecordBatch::take(&mut bytes, true)? {
        batch.read(from, &mut decompressor, &mut into)?;
    }
    Ok(into)
}

proptest! {
    #[test]
    fn records_are_read_as_they_were_written(codec in 0i16..=4, records in records(), skip in 0i64..20) {
        let from = BASE_OFFSET + skip;
        let read = read_all(write_batch(codec, -1, &records), from).unwrap();
        let wanted = records.iter().filter(|record| BASE_OFFSET + i64::from(record.offset_delta) >= from);
        let wanted: Vec<&Written> = wanted.collect();
        prop_assert_eq!(read.len(), wanted.len());
        for (read, wanted) in read.iter().zip(wanted) {
            prop_assert_eq!(read.offset(), BASE_OFFSET + i64::from(wanted.offset_delta));
            prop_assert_eq!(read.timestamp().as_millis(), BASE_TIMESTAMP_MS + wanted.timestamp_delta_ms);
            prop_assert_eq!(read.key(), wanted.key.as_deref());
            prop_assert_eq!(read.value(), wanted.value.as_deref());
            prop_assert_eq!(read.leader_epoch(), 7);
            let headers = read.headers();
            let headers: Vec<_> =
                headers.iter().map(|it| (it.name.to_string(), it.value.as_deref().map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(&headers, &wanted.headers);
        }
    }

    #[test]
    fn a_batch_cut_off_is_left_for_the_next_answer(records in records(), cut in 1usize..500) {
        let mut bytes = write_batch(0, -1, &records);
        let whole = bytes.len();
        bytes.extend_from_within(..);
        bytes.truncate(2 * whole - cut.min(whole));
        prop_assert_eq!(read_all(bytes, 0).unwrap().len(), records.len());
    }

    #[test]
    fn a_flipped_bit_is_found(codec in 0i16..=4, records in records(), place in any::<prop::sample::Index>()) {
        let mut bytes = write_batch(codec, -1, &records);
        let place = CHECKED_FROM + place.index(bytes.len() - CHECKED_FROM);
        bytes[place] ^= 1;
        prop_assert_eq!(read_all(bytes, 0).unwrap_err(), "its checksum is wrong");
    }

    #[test]
    fn nonsense_behind_a_right_checksum_does_no_harm(codec in 0i16..=7, body in vec(any::<u8>(), 0..300)) {
        let mut bytes = write_batch(0, -1, &[]);
        bytes.extend_from_slice(&body);
        bytes[8..12].copy_from_slice(&((HEADER_BYTES + body.len() - PREFIX_BYTES) as i32).to_be_bytes());
        bytes[21..23].copy_from_slice(&codec.to_be_bytes());
        bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        // It holds at most as many records as fit, and says that the others are missing.
        prop_assert!(read_all(bytes, 0).is_err());
    }
}

fn plain(offset_delta: i32) -> Written {
    Written {
        offset_delta,
        timestamp_delta_ms: 0,
        key: None,
        value: Some(b"v".to_vec()),
        headers: Vec::new(),
    }
}

fn marker(kind: u8) -> Written {
    Written { key: Some(vec![0, 0, 0, kind]), ..plain(0) }
}

#[test]
fn the_brokers_time_is_that_of_the_batch() {
    let read = read_all(write_batch(LOG_APPEND_TIME, -1, &[plain(0), plain(1)]), 0).unwrap();
    assert!(read.iter().all(|record| record.timestamp().as_millis() == BASE_TIMESTAMP_MS + 5));
}

#[test]
fn markers_tell_whether_their_transaction_was_aborted() {
    for (kind, aborts) in [(0, true), (1, false)] {
        let mut bytes = Bytes::from(write_batch(TRANSACTIONAL | CONTROL, 9, &[marker(kind)]));
        let batch = RecordBatch::take(&mut bytes, true).unwrap().unwrap();
        assert!(batch.is_control() && batch.is_transactional() && batch.producer_id == 9);
        assert_eq!(batch.is_abort(), aborts);
    }
}

#[test]
fn an_older_format_is_refused_with_the_remedy() {
    let mut bytes = write_batch(0, -1, &[plain(0)]);
    bytes[16] = 1;
    let refused = read_all(bytes, 0).unwrap_err();
    assert!(refused.starts_with("its message format is version 1"), "{refused}");
}

/// A batch of one record at an offset, of a producer's transaction or of none.
pub(in super::super) fn batch_at(offset: i64, producer: Option<i64>) -> Vec<u8> {
    let attributes = if producer.is_some() { TRANSACTIONAL } else { 0 };
    moved(write_batch(attributes, producer.unwrap_or(-1), &[plain(0)]), offset)
}

/// The marker at the end of a producer's transaction.
pub(in super::super) fn marker_at(offset: i64, producer: i64, committed: bool) -> Vec<u8> {
    moved(write_batch(TRANSACTIONAL | CONTROL, producer, &[marker(u8::from(committed))]), offset)
}

/// The checksum leaves the offset out, for the broker sets it.
fn moved(mut batch: Vec<u8>, offset: i64) -> Vec<u8> {
    batch[..8].copy_from_slice(&offset.to_be_bytes());
    batch
}
