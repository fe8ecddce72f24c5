use proptest::prelude::*;

use super::*;

#[test]
fn offset_record_has_the_bytes_of_the_schema() {
    assert_eq!(offset_key("g", "t", 3).as_ref(), b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
    let offset = CommittedOffset {
        offset: 5,
        leader_epoch: 2,
        metadata: "m".to_owned(),
        commit_ms: 0x0102_0304_0506_0708,
    };
    assert_eq!(
        offset_value(&offset).as_ref(),
        b"\0\x03\0\0\0\0\0\0\0\x05\0\0\0\x02\0\x01m\x01\x02\x03\x04\x05\x06\x07\x08"
    );
}

#[test]
fn older_offset_values_are_read() {
    let v1 = b"\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x09";
    let read = read_offset(v1).unwrap();
    assert_eq!((read.offset, read.leader_epoch, read.commit_ms), (5, -1, 7));
    assert_eq!(read_offset(b"\0\x09"), Err(RecordError::Version { kind: "offset", version: 9 }));
}

#[test]
fn foreign_keys_are_told_by_their_version() {
    assert_eq!(read_key(b"\0\x05\0\x01g"), Ok(Key::Foreign(5)));
}

proptest! {
    #[test]
    fn offsets_round_trip(group in ".{0,40}", topic in "[a-z.]{1,40}", partition: i32, offset: i64,
                          leader_epoch: i32, metadata in ".{0,60}", commit_ms: i64) {
        let key = read_key(&offset_key(&group, &topic, partition)).unwrap();
        prop_assert_eq!(key, Key::Offset { group, topic, partition });
        let value = CommittedOffset { offset, leader_epoch, metadata, commit_ms };
        prop_assert_eq!(read_offset(&offset_value(&value)).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = read_key(&bytes);
        let _ = read_offset(&bytes);
        let _ = read_group(&bytes);
    }
}
