//! What a task gathers for the producer: serialized records in one buffer, so that a record costs no allocation.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::record::Headers;
use crate::time::Timestamp;

/// A serialized record within a [`RecordArena`].
#[derive(Debug, Clone)]
pub struct StoredRecord {
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    /// The timestamp that it is to carry; none lets the broker stamp it.
    pub timestamp: Option<Timestamp>,
    /// Its headers.
    pub headers: Headers,
}

/// Room that an arena keeps for the next records.
const KEPT_BYTES: usize = 1 << 20;
const KEPT_RECORDS: usize = 16 << 10;

/// Serialized records, their bytes in one buffer.
#[derive(Debug, Default)]
pub struct RecordArena {
    bytes: Vec<u8>,
    records: Vec<StoredRecord>,
}

impl RecordArena {
    /// Copies a record in.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<Timestamp>,
        headers: Headers,
    ) {
        let key = key.map(|key| self.append(key));
        let value = value.map(|value| self.append(value));
        self.records.push(StoredRecord { key, value, timestamp, headers });
    }

    /// The records with their bytes: key, value, the rest.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<&[u8]>, Option<&[u8]>, &StoredRecord)> {
        self.records.iter().map(|record| (self.slice(&record.key), self.slice(&record.value), record))
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes of keys and values it holds.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the records and keeps a little room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.records.clear();
        self.records.shrink_to(KEPT_RECORDS);
    }

    fn append(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len() as u32
    }

    fn slice(&self, range: &Option<Range<u32>>) -> Option<&[u8]> {
        range.as_ref().map(|range| &self.bytes[range.start as usize..range.end as usize])
    }
}

/// A record for a user's or a repartition topic.
#[derive(Debug, Clone)]
pub struct OutputRecord {
    /// Which of [`Output::topics`] it is for.
    pub topic: u32,
    /// The partition that the topology chose; none leaves it to the default, murmur2 of the key.
    pub partition: Option<i32>,
    /// Where its key and value lie.
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    /// How many bytes at the key's front choose the partition (less than all for windowed keys).
    partition_key_len: usize,
    /// Its event time.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
}

/// The records that a task has sent and the producer has not yet taken, in the order of sending.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    records: Vec<OutputRecord>,
    topics: Vec<Arc<str>>,
    index: FxHashMap<Arc<str>, u32>,
    full_names: FxHashMap<Arc<str>, Arc<str>>,
}

/// A record on its way to the producer, its bytes borrowed.
#[derive(Debug)]
pub struct OutputView<'a> {
    /// The topic.
    pub topic: &'a Arc<str>,
    /// The key's bytes, or none.
    pub key: Option<&'a [u8]>,
    /// The bytes that choose the partition, or none.
    pub partition_key: Option<&'a [u8]>,
    /// The value's bytes, or none.
    pub value: Option<&'a [u8]>,
    /// The rest.
    pub record: &'a OutputRecord,
}

impl Output {
    /// Lets the topic that nodes call `name` be called `full_name` on the broker.
    pub fn rename(&mut self, name: &Arc<str>, full_name: &Arc<str>) {
        self.full_names.insert(Arc::clone(name), Arc::clone(full_name));
    }

    /// The number of a topic, for [`Output::push`]; asked for once by a sink with a fixed topic.
    pub fn topic(&mut self, name: &Arc<str>) -> u32 {
        if let Some(&number) = self.index.get(name) {
            return number;
        }
        let number = self.topics.len() as u32;
        self.topics.push(Arc::clone(self.full_names.get(name).unwrap_or(name)));
        self.index.insert(Arc::clone(name), number);
        number
    }

    /// The topics by number.
    pub fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// The buffer that bytes are to be appended to before [`Output::push`] says where they lie.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds a record whose key and value lie in the buffer.
    #[allow(clippy::too_many_arguments)]
    pub fn push(
        &mut self,
        topic: u32,
        partition: Option<i32>,
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
        partition_key_suffix: usize,
        timestamp: Timestamp,
        headers: Headers,
    ) {
        let key_len = key.as_ref().map_or(0, |key| key.len());
        let partition_key_len = key_len.saturating_sub(partition_key_suffix);
        self.records.push(OutputRecord {
            topic,
            partition,
            key,
            value,
            partition_key_len,
            timestamp,
            headers,
        });
    }

    /// The records in the order of sending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = OutputView<'_>> {
        self.records.iter().map(|record| {
            let key = record.key.clone().map(|range| &self.bytes[range]);
            OutputView {
                topic: &self.topics[record.topic as usize],
                key,
                partition_key: key.map(|key| &key[..record.partition_key_len]),
                value: record.value.clone().map(|range| &self.bytes[range]),
                record,
            }
        })
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many bytes wait.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the records out for the producer and goes on with the room of `spare`, an output that the producer has
    /// done with. Topics keep their numbers.
    #[must_use]
    pub fn take(&mut self, mut spare: Output) -> Output {
        spare.clear();
        std::mem::swap(&mut self.bytes, &mut spare.bytes);
        std::mem::swap(&mut self.records, &mut spare.records);
        let known = spare.topics.len().min(self.topics.len());
        if spare.topics[..] != self.topics[..known] {
            spare.topics.clear();
        }
        spare.topics.extend_from_slice(&self.topics[spare.topics.len()..]);
        spare
    }

    /// Forgets the records, once the producer has them; keeps the room and the topics' numbers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_swaps_the_room_and_keeps_the_numbers() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut output = Output::default();
        output.rename(&b, &"app-b".into());
        let push = |output: &mut Output, topic: &Arc<str>| {
            let number = output.topic(topic);
            output.buffer().extend_from_slice(topic.as_bytes());
            let end = output.byte_len();
            output.push(number, None, Some(end - 1..end), None, 0, Timestamp::ZERO, Headers::new());
        };
        let topics = |output: &Output| output.iter().map(|view| view.topic.to_string()).collect::<Vec<_>>();
        push(&mut output, &a);
        let first = output.take(Output::default());
        assert_eq!(topics(&first), ["a"]);
        assert!(output.is_empty() && output.byte_len() == 0);
        push(&mut output, &b);
        push(&mut output, &a);
        let second = output.take(first);
        assert_eq!(topics(&second), ["app-b", "a"]);
        assert_eq!(second.iter().next().and_then(|view| view.key), Some(&b"b"[..]));
        // An output of another task with other topics may serve as the room, too.
        let mut other = Output::default();
        push(&mut other, &b);
        push(&mut output, &a);
        assert_eq!(topics(&output.take(other)), ["a"]);
    }
}
