//! One scan over all layers.

use std::borrow::Cow;

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
    /// How many bytes at the front of a key in the cache name its segment; the other layers do not have them.
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

impl<'a, T: Clone> Merge<'a, T> {
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
            self.pending.head.map(|(key, _)| key),
            self.sealed.head.map(|(key, _)| key),
            self.database_head.as_ref().map(|(key, _)| &**key),
        ];
        let first = match self.direction {
            Direction::Forward => heads.iter().flatten().min()?,
            Direction::Backward => heads.iter().flatten().max()?,
        };
        Some(heads.map(|head| head == Some(*first)))
    }

    /// Hands all entries to `visit`, which saves copies of the keys that are at hand.
    pub(crate) fn visit(mut self, mut visit: impl FnMut(&[u8], T)) -> Result<(), StoreError> {
        while self.next_with(|key, value| visit(&key, value))?.is_some() {}
        Ok(())
    }

    /// Hands the next entry to `show`; answers none at the end, and `Some(None)` for a deletion.
    fn next_with<R>(
        &mut self,
        show: impl FnOnce(Cow<'_, [u8]>, T) -> R,
    ) -> Result<Option<Option<R>>, StoreError> {
        let Some([cached, pending, sealed, stored]) = self.next_key() else { return Ok(None) };
        let skip = self.prefix_len;
        let (store, format) = (self.store, self.format);
        let decode = |bytes: &[u8]| format.read(bytes).map_err(|source| unreadable(store, source)).map(Some);
        let mut found: Option<(&'a [u8], Option<T>)> = None;
        if cached && let Some((key, value)) = self.cache.take() {
            found = Some((&key[skip..], value.cloned()));
        }
        for (has, layer) in [(pending, &mut self.pending), (sealed, &mut self.sealed)] {
            if has
                && let Some((key, value)) = layer.take()
                && found.is_none()
            {
                found = Some((key, value.map_or(Ok(None), decode)?));
            }
        }
        let mut below = None;
        if stored {
            below = std::mem::replace(&mut self.database_head, self.database.next().transpose()?);
        }
        Ok(Some(match (found, below) {
            (Some((key, value)), _) => value.map(|value| show(Cow::Borrowed(key), value)),
            (None, Some((key, value))) => decode(&value)?.map(|value| show(Cow::Owned(key.into()), value)),
            (None, None) => None,
        }))
    }
}

impl<T: Clone> Iterator for Merge<'_, T> {
    type Item = Result<Entry<T>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_with(|key, value| (key.into_owned().into_boxed_slice(), value)) {
                Ok(Some(Some(entry))) => return Some(Ok(entry)),
                Ok(Some(None)) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
