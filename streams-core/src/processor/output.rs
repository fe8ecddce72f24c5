//! What a task gathers for the producer: serialized records in one buffer, so that a record costs no allocation.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::record::Headers;
use crate::time::Timestamp;

/// Room for so many records, and so many bytes of theirs, is kept for the next ones; what is beyond it is given back.
const ROOM_RECORDS: usize = 4_096;
const ROOM_BYTES: usize = 512 << 10;

/// Where bytes lie in a buffer, which one step may fill without a limit; a length of `u32::MAX` is null.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    len: u32,
}

impl Span {
    const NULL: Span = Span { start: 0, len: u32::MAX };

    /// Kafka's protocol has no keys and values of 2 GiB and more.
    fn new(range: Option<Range<usize>>) -> Self {
        range.map_or(Span::NULL, |range| Span { start: range.start, len: range.len() as u32 })
    }

    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.len != u32::MAX).then(|| &bytes[self.start..][..self.len as usize])
    }
}

/// A serialized record within a [`RecordArena`].
#[derive(Debug, Clone)]
pub struct StoredRecord {
    key: Span,
    value: Span,
    /// The timestamp that it is to carry; none lets the broker stamp it.
    pub timestamp: Option<Timestamp>,
    /// Its headers.
    pub headers: Headers,
}

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
        let key = Span::new(key.map(|key| append(&mut self.bytes, key)));
        let value = Span::new(value.map(|value| append(&mut self.bytes, value)));
        self.records.push(StoredRecord { key, value, timestamp, headers });
    }

    /// The records with their bytes: key, value, the rest.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Option<&[u8]>, Option<&[u8]>, &StoredRecord)> {
        self.records.iter().map(|record| (record.key.of(&self.bytes), record.value.of(&self.bytes), record))
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
        forget(&mut self.bytes, &mut self.records);
    }
}

fn append(bytes: &mut Vec<u8>, new: &[u8]) -> Range<usize> {
    let start = bytes.len();
    bytes.extend_from_slice(new);
    start..bytes.len()
}

fn forget<R>(bytes: &mut Vec<u8>, records: &mut Vec<R>) {
    bytes.clear();
    bytes.shrink_to(ROOM_BYTES);
    records.clear();
    records.shrink_to(ROOM_RECORDS);
}

/// A record for a user's or a repartition topic.
#[derive(Debug, Clone)]
pub struct OutputRecord {
    /// Which of [`Output::topics`] it is for.
    pub topic: u32,
    /// The partition that the topology chose; none leaves it to the default, murmur2 of the key.
    pub partition: Option<i32>,
    /// Where its key and value lie.
    key: Span,
    value: Span,
    /// How many bytes at the key's front choose the partition (less than all for windowed keys).
    partition_key_len: u32,
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
        let partition_key_len = key_len.saturating_sub(partition_key_suffix) as u32;
        self.records.push(OutputRecord {
            topic,
            partition,
            key: Span::new(key),
            value: Span::new(value),
            partition_key_len,
            timestamp,
            headers,
        });
    }

    /// The records in the order of sending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = OutputView<'_>> {
        self.records.iter().map(|record| {
            let key = record.key.of(&self.bytes);
            OutputView {
                topic: &self.topics[record.topic as usize],
                key,
                partition_key: key.map(|key| &key[..record.partition_key_len as usize]),
                value: record.value.of(&self.bytes),
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

    /// How many bytes of keys and values wait.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes of memory what waits takes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<OutputRecord>()
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

    /// Forgets the records, once the producer has them; keeps a little room and the topics' numbers.
    pub fn clear(&mut self) {
        forget(&mut self.bytes, &mut self.records);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_burst_took_is_given_back() {
        let mut output = Output::default();
        let topic = output.topic(&"t".into());
        let mut arena = RecordArena::default();
        for _ in 0..3 * ROOM_RECORDS {
            let start = output.byte_len();
            output.buffer().extend_from_slice(&[1; 300]);
            output.push(topic, None, None, Some(start..start + 300), 0, Timestamp::ZERO, Headers::new());
            arena.push(Some(b"k"), Some(&[1; 300]), None, Headers::new());
        }
        assert!(output.memory_bytes() > 3 * ROOM_RECORDS * 300);
        let spare = output.take(Output::default());
        assert_eq!(output.memory_bytes(), 0);
        let _ = output.take(spare);
        arena.clear();
        assert!(output.bytes.capacity() <= ROOM_BYTES && output.records.capacity() <= ROOM_RECORDS);
        assert!(arena.bytes.capacity() <= ROOM_BYTES && arena.records.capacity() <= ROOM_RECORDS);
    }

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
