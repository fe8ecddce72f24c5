use super::*;

const RECORDS: u64 = 10_000;
const SEED: u64 = 7;

/// FNV-1a over every field of every record; -1 stands for "none".
struct Digest(u64);

impl Digest {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.number(text.map_or(-1, |text| text.len() as i64));
        self.bytes(text.unwrap_or_default().as_bytes());
    }
}

/// The figures come from the Java generator of the Kafka Streams benchmark, hashed in the same way.
#[test]
fn every_record_equals_that_of_the_kafka_streams_benchmark() {
    let expected = [
        (Workload::Passthrough, 10_000, 0xcaa5_002d_40a3_f9e3_u64),
        (Workload::Wordcount, 10_000, 0xe0be_e861_51b0_9d25),
        (Workload::Surge, 10_000, 0x4c84_9097_9eb7_6384),
        (Workload::Fraud, 110_000, 0xfcc6_4479_1b7c_4e2e),
        (Workload::Join, 18_048, 0xbf3b_1c50_56e8_6faf),
        (Workload::Keys, 10_000, 0x5bf6_9e83_2d5e_9443),
    ];
    for (workload, records, hash) in expected {
        let (mut digest, mut count) = (Digest(0xcbf2_9ce4_8422_2325), 0);
        Inputs::new(SEED).for_each(workload, RECORDS, 4, |record| {
            count += 1;
            digest.text(Some(record.topic));
            digest.number(record.partition.map_or(-1, i64::from));
            digest.text(record.key.as_deref());
            digest.text(Some(&record.value));
            digest.number(record.timestamp);
        });
        assert_eq!((count, format!("{:x}", digest.0)), (records, format!("{hash:x}")), "{workload}");
    }
}

#[test]
fn a_record_reads_as_documented() {
    let inputs = Inputs::new(SEED);
    assert_eq!(
        inputs.page(0),
        r#"{"id":0,"user":"u77403","page":"/p/551","text":"gbendikodiodigbmphnpphjgodikkodigffbefnlolgfjcmp"}"#
    );
    assert_eq!(inputs.line(0), r#"{"line":"w8175 w17 w4729 w174 w49 w338 w0 w36 w4001 w2743"}"#);
    assert_eq!(
        inputs.ride(0, RECORDS),
        r#"{"area":"a204","rider":"r323203","fare_cents":4052,"ts":1700006397124}"#
    );
}
