//! What data stand for.

use std::collections::BTreeMap;

use crate::record::TopicPartition;

/// How far inputs are processed: of each partition the offset of the next record (Kafka's `Position`, KIP-796).
///
/// An answer to a query carries the position that it stands for. Given back as the least position of another query,
/// it makes sure that time does not run backwards, on whichever instance that query lands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<TopicPartition, i64>);

impl Position {
    /// Notes that all records of a partition before `offset` are in; what was known to be further stays.
    pub fn advance(&mut self, partition: &TopicPartition, offset: i64) {
        match self.0.get_mut(partition) {
            Some(known) => *known = offset.max(*known),
            None => drop(self.0.insert(partition.clone(), offset)),
        }
    }

    /// The same with one more partition.
    #[must_use]
    pub fn with(mut self, partition: TopicPartition, offset: i64) -> Self {
        self.advance(&partition, offset);
        self
    }

    /// Takes the further one of each partition.
    pub fn merge(&mut self, other: &Position) {
        other.iter().for_each(|(partition, offset)| self.advance(partition, offset));
    }

    /// The offset of a partition, where it is known.
    pub fn get(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.get(partition).copied()
    }

    /// All partitions and their offsets.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.0.iter().map(|(partition, offset)| (partition, *offset))
    }

    /// Whether it names no partition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(TopicPartition, i64)> for Position {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, i64)>>(partitions: I) -> Self {
        let mut position = Position::default();
        partitions.into_iter().for_each(|(partition, offset)| position.advance(&partition, offset));
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_never_goes_back() {
        let partition = TopicPartition::new("rides", 1);
        let mut position = Position::default().with(partition.clone(), 7);
        position.merge(&Position::default().with(partition.clone(), 3));
        assert_eq!(position.get(&partition), Some(7));
        position.advance(&partition, 9);
        assert_eq!(position.get(&partition), Some(9));
        assert_eq!(position.get(&TopicPartition::new("rides", 2)), None);
    }
}
