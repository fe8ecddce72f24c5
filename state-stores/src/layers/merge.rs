//! One scan over all layers.

use streams_core::state::{Direction, KeyValueIter, StoreError};

use super::cache::DirtyRange;
use super::format::ValueFormat;
use super::unreadable;
use super::write_layer::WriteRange;

/// A key's bytes and what it stands for.
pub(crate) type Entry<V> = (Box<[u8]>, V);

/// Keys and values of all layers in key order; of a key that several hold, the outermost layer's word counts.
pub(crate) struct Merge<'a, T> {
    pub(crate) store: &'a str,
    pub(crate) format: &'a dyn ValueFormat<T>,
    pub(crate) direction: Direction,
    /// How many bytes at the front of a key name its segment; the database does not have them.
    pub(crate) prefix_len: usize,
    pub(crate) cache: Layer<DirtyRange<'a, T>>,
    pub(crate) pending: Layer<WriteRange<'a>>,
    pub(crate) sealed: Layer<WriteRange<'a>>,
    pub(crate) database: KeyValueIter<'a>,
    pub(crate) database_head: Option<Entry<Box<[u8]>>>,
}

/// A layer's entries and the next of them.
pub(crate) struct Layer<I: Iterator> {
    entries: I,
    head: Option<I::Item>,
    direction: Direction,
}

impl<I: DoubleEndedIterator> Layer<I> {
    pub(crate) fn new(mut entries: I, direction: Direction) -> Self {
        let head = step(&mut entries, direction);
        Layer { entries, head, direction }
    }

    fn take(&mut self) -> Option<I::Item> {
        std::mem::replace(&mut self.head, step(&mut self.entries, self.direction))
    }
}

fn step<I: DoubleEndedIterator>(entries: &mut I, direction: Direction) -> Option<I::Item> {
    match direction {
        Direction::Forward => entries.next(),
        Direction::Backward => entries.next_back(),
    }
}

impl<T: Clone> Merge<'_, T> {
    /// Reads the first entry of the database.
    pub(crate) fn begin(mut self) -> Result<Self, StoreError> {
        self.database_head = self.database.next().transpose()?;
        Ok(self)
    }

    /// The next key, without its segment, and whether each layer has it.
    fn next_key(&self) -> Option<[bool; 4]> {
        let skip = self.prefix_len;
        let heads = [
            self.cache.head.map(|(key, _)| &key[skip..]),
            self.pending.head.map(|(key, _)| &key[skip..]),
            self.sealed.head.map(|(key, _)| &key[skip..]),
            self.database_head.as_ref().map(|(key, _)| &**key),
        ];
        let first = match self.direction {
            Direction::Forward => heads.iter().flatten().min()?,
            Direction::Backward => heads.iter().flatten().max()?,
        };
        Some(heads.map(|head| head == Some(*first)))
    }

    fn next_value(&mut self) -> Result<Option<Entry<Option<T>>>, StoreError> {
        let Some([cached, pending, sealed, stored]) = self.next_key() else { return Ok(None) };
        let skip = self.prefix_len;
        let (store, format) = (self.store, self.format);
        let decode = |bytes: &[u8]| format.read(bytes).map_err(|source| unreadable(store, source)).map(Some);
        let mut found: Option<Entry<Option<T>>> = None;
        if cached && let Some((key, value)) = self.cache.take() {
            found = Some((key[skip..].into(), value.cloned()));
        }
        for (has, layer) in [(pending, &mut self.pending), (sealed, &mut self.sealed)] {
            if has
                && let Some((key, value)) = layer.take()
                && found.is_none()
            {
                found = Some((key[skip..].into(), value.map_or(Ok(None), decode)?));
            }
        }
        if stored {
            let entry = std::mem::replace(&mut self.database_head, self.database.next().transpose()?);
            if let (None, Some((key, value))) = (&found, entry) {
                found = Some((key, decode(&value)?));
            }
        }
        Ok(found)
    }
}

impl<T: Clone> Iterator for Merge<'_, T> {
    type Item = Result<Entry<T>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_value() {
                Ok(Some((key, Some(value)))) => return Some(Ok((key, value))),
                Ok(Some((_, None))) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
