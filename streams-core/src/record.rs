//! Records, their headers and where they came from.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::time::Timestamp;

/// What may flow through a topology: keys and values are cloned where a node has several children, and move
/// between threads with their task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot flow through a stream",
    note = "keys and values are `Clone + Send + 'static`: add `#[derive(Clone)]`, or wrap it in `Arc`"
)]
pub trait Data: Clone + Send + 'static {}

impl<T: Clone + Send + 'static> Data for T {}

/// A key, a value, an event time and headers, as they travel from node to node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<K, V> {
    /// The key; `()` or an `Option` where the topic may hold none.
    pub key: K,
    /// The value.
    pub value: V,
    /// The event time.
    pub timestamp: Timestamp,
    /// The headers, in order, duplicates included.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub fn new(key: K, value: V, timestamp: impl Into<Timestamp>) -> Self {
        Record { key, value, timestamp: timestamp.into(), headers: Headers::default() }
    }

    /// The same record with these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Record { headers, ..self }
    }

    /// The same record with another key.
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: impl Into<Timestamp>) -> Self {
        Record { timestamp: timestamp.into(), ..self }
    }
}

/// A header: a name and bytes, or no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name; not necessarily unique within a record.
    pub name: Arc<str>,
    /// The value; Kafka knows null apart from empty.
    pub value: Option<Bytes>,
}

/// The headers of a record: ordered, duplicates allowed. One word wide, so that records without headers are moved
/// cheaply; copies share the list until one of them is changed. An empty list costs no allocation.
#[derive(Clone, Default)]
pub struct Headers(
    /// None where there are no headers.
    Option<Arc<Vec<Header>>>,
);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Headers(None)
    }

    /// Adds a header behind the others.
    pub fn add(&mut self, name: impl Into<Arc<str>>, value: Option<Bytes>) {
        let list = self.0.get_or_insert_default();
        Arc::make_mut(list).push(Header { name: name.into(), value });
    }

    /// Removes every header of this name and says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let found = self.iter().filter(|header| &*header.name == name).count();
        if found == self.len() {
            self.0 = None;
        } else if let Some(list) = self.0.as_mut().filter(|_| found > 0) {
            Arc::make_mut(list).retain(|header| &*header.name != name);
        }
        found
    }

    /// The last header of this name, as Kafka's `lastHeader`.
    pub fn last(&self, name: &str) -> Option<&Header> {
        self.iter().rev().find(|header| &*header.name == name)
    }

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.as_ref().map_or(&[][..], |list| list).iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |list| list.len())
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are one list, or none: equal without a look at the headers. Lists that are equal only header by
    /// header are not the same.
    #[inline]
    pub(crate) fn is_same(&self, other: &Headers) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let list: Vec<Header> = headers.into_iter().collect();
        Headers((!list.is_empty()).then(|| Arc::new(list)))
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A topic and one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// A topic and one of its partitions.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Where the input record that is being processed came from (Kafka's `RecordMetadata`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContext {
    /// The input topic.
    pub topic: Arc<str>,
    /// The input partition.
    pub partition: i32,
    /// The offset within the partition.
    pub offset: i64,
}

/// One fetched record, as the client or the test driver holds it: bytes are borrowed until they are deserialized,
/// so that nothing is copied on the way.
pub trait FetchedRecord: Send {
    /// The key's bytes, or none.
    fn key(&self) -> Option<&[u8]>;
    /// The value's bytes, or none (a tombstone).
    fn value(&self) -> Option<&[u8]>;
    /// The offset within the partition.
    fn offset(&self) -> i64;
    /// The leader epoch of the batch, or -1 where unknown.
    fn leader_epoch(&self) -> i32 {
        -1
    }
    /// The timestamp that the record carries, in ms; -1 where it has none.
    fn timestamp(&self) -> Timestamp;
    /// The headers, made on demand.
    fn headers(&self) -> Headers;
    /// How many bytes the record holds, for the bound on buffered bytes.
    fn size(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.value().map_or(0, <[u8]>::len)
    }
}

/// A fetched record that owns its bytes: what tests and the test driver feed to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The key's bytes, or none.
    pub key: Option<Bytes>,
    /// The value's bytes, or none.
    pub value: Option<Bytes>,
    /// The offset within the partition.
    pub offset: i64,
    /// The timestamp, in ms.
    pub timestamp: Timestamp,
    /// The headers.
    pub headers: Headers,
}

impl FetchedRecord for OwnedRecord {
    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
    fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
    fn offset(&self) -> i64 {
        self.offset
    }
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
    fn headers(&self) -> Headers {
        self.headers.clone()
    }
}
