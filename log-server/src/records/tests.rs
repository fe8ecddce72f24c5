use bytes::Bytes;
use proptest::prelude::*;

use super::batch_header::LOG_OVERHEAD_BYTES;
use super::compression::CompressionError;
use super::*;

fn arbitrary_bytes() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn arbitrary_record() -> impl Strategy<Value = (NewRecord, i64)> {
    let header = (prop::collection::vec(any::<u8>(), 0..5).prop_map(Bytes::from), arbitrary_bytes());
    (arbitrary_bytes(), arbitrary_bytes(), prop::collection::vec(header, 0..4), -1000..1000i64)
        .prop_map(|(key, value, headers, timestamp)| (NewRecord { key, value, headers }, timestamp))
}

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn build(records: &[(NewRecord, i64)], codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(100).compressed(codec);
    for (record, timestamp) in records {
        builder.push_at(record, *timestamp);
    }
    builder.build().unwrap()
}

proptest! {
    #[test]
    fn records_survive_every_codec(records in prop::collection::vec(arbitrary_record(), 1..20), codec in 0..5usize) {
        let batch = build(&records, CODECS[codec]);
        let header = BatchHeader::parse_checked(&batch).unwrap();
        prop_assert_eq!(header.record_count as usize, records.len());
        prop_assert_eq!(header.size_bytes(), batch.len());
        prop_assert_eq!(header.compression(), Some(CODECS[codec]));
        let decoded = Records::read(header, &batch).unwrap();
        let mut seen = 0;
        for (record, (expected, timestamp)) in decoded.iter().zip(&records) {
            let record = record.unwrap();
            prop_assert_eq!(record.offset, seen);
            prop_assert_eq!(record.timestamp, *timestamp);
            prop_assert_eq!(record.key, expected.key.as_deref());
            prop_assert_eq!(record.value, expected.value.as_deref());
            let headers: Vec<_> = record.headers().map(|header| (header.key, header.value)).collect();
            let wanted: Vec<_> = expected.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
            prop_assert_eq!(headers, wanted);
            seen += 1;
        }
        prop_assert_eq!(seen as usize, records.len());
    }

    #[test]
    fn a_changed_byte_is_found(records in prop::collection::vec(arbitrary_record(), 1..5), at in 17..1000usize, bit in 0..8) {
        let batch = build(&records, Compression::None);
        let mut damaged = batch.to_vec();
        let at = 17 + at % (damaged.len() - 17);
        damaged[at] ^= 1u8 << bit;
        prop_assert!(BatchHeader::parse_checked(&damaged).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), codec in 0..8i16) {
        let _ = BatchHeader::parse_checked(&bytes);
        let mut batch = build(&[(NewRecord::default(), 0)], Compression::None).to_vec();
        batch.truncate(BATCH_HEADER_BYTES);
        batch.extend_from_slice(&bytes);
        let mut header = BatchHeader::parse(&batch).unwrap();
        header.length = (batch.len() - LOG_OVERHEAD_BYTES) as i32;
        header.attributes = codec;
        header.record_count = 1000;
        if let Ok(records) = Records::read(header, &batch) {
            prop_assert!(records.iter().take_while(Result::is_ok).count() <= 300);
        }
    }
}

#[test]
fn snappy_without_frame_is_read() {
    let plain = b"hello hello hello hello".repeat(10);
    let block = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(Compression::Snappy.decompress(&block, 1000).unwrap().as_ref(), plain);
    assert!(matches!(Compression::Snappy.decompress(&block, 100), Err(CompressionError::TooLarge(100))));
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let plain = vec![0; 10_000_000];
    for codec in &CODECS[1..] {
        let packed = codec.compress(&plain).unwrap();
        assert!(
            matches!(codec.decompress(&packed, 1_000_000), Err(CompressionError::TooLarge(_))),
            "{codec:?}"
        );
    }
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(next_sequence(i32::MAX, 1), 0);
    assert_eq!(next_sequence(i32::MAX - 1, 3), 1);
    assert_eq!(next_sequence(5, 0), 5);
}
