//! What a scan over windows yields.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow, RangeBounds};

use streams_core::serdes::Serde;
use streams_core::state::{Direction, StoreEntry, StoreError, StoreScan};

use super::key_schema;
use crate::key_value::read_key;
use crate::layers::{Entry, Layers};
use crate::session;
use crate::windowed::{Window, Windowed};

/// An entry as the layers know it.
pub(crate) type RawEntry<T> = Result<Entry<T>, StoreError>;

pub(crate) type RawEntries<'a, T> = Box<dyn Iterator<Item = RawEntry<T>> + 'a>;

/// Entries of a window or session store, read as they are asked for: key and window, value.
pub struct WindowEntries<'a, K, T> {
    store: &'a str,
    key_serde: &'a dyn Serde<K>,
    layout: KeyLayout,
    entries: RawEntries<'a, T>,
    key: PhantomData<fn() -> K>,
}

/// How key and window lie in a store's key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyLayout {
    /// [`key_schema`], windows being of this length in ms.
    Window(i64),
    /// That of [sessions](crate::session::key_schema).
    Session,
}

impl KeyLayout {
    /// Key and window; none where the bytes are too short.
    pub(crate) fn split(self, bytes: &[u8]) -> Option<(&[u8], Window)> {
        match self {
            KeyLayout::Session => session::key_schema::split(bytes),
            KeyLayout::Window(size_ms) => {
                let (key, start) = key_schema::split(bytes)?;
                Some((key, Window::new(start, start.saturating_add(size_ms))))
            }
        }
    }
}

impl<'a, K, T> WindowEntries<'a, K, T> {
    pub(crate) fn new(
        store: &'a str,
        key_serde: &'a dyn Serde<K>,
        layout: KeyLayout,
        entries: RawEntries<'a, T>,
    ) -> Self {
        WindowEntries { store, key_serde, layout, entries, key: PhantomData }
    }
}

impl<K: 'static, T> Iterator for WindowEntries<'_, K, T> {
    type Item = Result<(Windowed<K>, T), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (bytes, value) = match self.entries.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let Some((key, window)) = self.layout.split(&bytes) else { continue };
            return Some(
                read_key(self.key_serde, key, self.store).map(|key| (Windowed::new(key, window), value)),
            );
        }
    }
}

impl<K, T> fmt::Debug for WindowEntries<'_, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowEntries").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Which keys a scan yields: bytes of keys of different lengths interleave, so bounds alone do not decide.
#[derive(Debug)]
pub(crate) enum KeyFilter {
    /// This one.
    Exactly(Box<[u8]>),
    /// Those between two.
    Between(Bound<Box<[u8]>>, Bound<Box<[u8]>>),
}

impl KeyFilter {
    pub(crate) fn within<K>(
        keys: impl RangeBounds<K>,
        write: impl Fn(&K) -> Result<Box<[u8]>, StoreError>,
    ) -> Result<Self, StoreError> {
        let bound = |bound: Bound<&K>| {
            Ok(match bound {
                Bound::Included(key) => Bound::Included(write(key)?),
                Bound::Excluded(key) => Bound::Excluded(write(key)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        Ok(KeyFilter::Between(bound(keys.start_bound())?, bound(keys.end_bound())?))
    }

    /// The keys between two bounds of bytes.
    pub(crate) fn of((lower, upper): &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Self {
        let bound = |bound: &Bound<Vec<u8>>| bound.as_ref().map(|key| Box::from(key.as_slice()));
        KeyFilter::Between(bound(lower), bound(upper))
    }

    pub(crate) fn admits(&self, key: &[u8]) -> bool {
        match self {
            KeyFilter::Exactly(wanted) => **wanted == *key,
            KeyFilter::Between(lower, upper) => {
                let lower = match lower {
                    Bound::Included(lower) => key >= &**lower,
                    Bound::Excluded(lower) => key > &**lower,
                    Bound::Unbounded => true,
                };
                lower
                    && match upper {
                        Bound::Included(upper) => key <= &**upper,
                        Bound::Excluded(upper) => key < &**upper,
                        Bound::Unbounded => true,
                    }
            }
        }
    }

    /// Bounds within which all admitted keys lie, if their times are at most `latest_ms`.
    pub(crate) fn bounds(&self, latest_ms: i64) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let (lower, upper) = match self {
            KeyFilter::Exactly(key) => (Some(&**key), Some(&**key)),
            KeyFilter::Between(lower, upper) => (bytes(lower), bytes(upper)),
        };
        let lower = lower.map_or(Bound::Unbounded, |key| Bound::Included(key.to_vec()));
        let upper =
            upper.map_or(Bound::Unbounded, |key| Bound::Included(key_schema::upper_bound(key, latest_ms)));
        match (&lower, &upper) {
            // An empty range of keys: two bounds that meet.
            (Bound::Included(low), Bound::Included(high)) if low > high => {
                (Bound::Included(Vec::new()), Bound::Included(Vec::new()))
            }
            _ => (lower, upper),
        }
    }
}

fn bytes(bound: &Bound<Box<[u8]>>) -> Option<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// Lets those entries pass whose key and window are wanted, and every error.
pub(crate) fn filter<T>(
    layout: KeyLayout,
    wanted: impl Fn(&[u8], Window) -> bool,
) -> impl FnMut(&RawEntry<T>) -> bool {
    move |entry| match entry {
        Err(_) => true,
        Ok((bytes, _)) => layout.split(bytes).is_some_and(|(key, window)| wanted(key, window)),
    }
}

/// Shows entries until `visit` has enough, behind the one where the page before has ended: `order` is that of the store.
pub(crate) fn show_behind<T: Clone, O: Ord>(
    layers: &Layers<T>,
    layout: KeyLayout,
    entries: RawEntries<'_, T>,
    scan: &StoreScan,
    order: impl Fn(&[u8], Window) -> O,
    visit: &mut dyn FnMut(StoreEntry<'_>) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let after = match &scan.after {
        Some((key, Some((start, end)))) => Some(order(key, Window::new(*start, *end))),
        _ => None,
    };
    for entry in entries {
        let (bytes, value) = entry?;
        let Some((key, window)) = layout.split(&bytes) else { continue };
        let shown = after.as_ref().is_some_and(|after| match scan.direction {
            Direction::Forward => order(key, window) <= *after,
            Direction::Backward => order(key, window) >= *after,
        });
        if !shown && layers.show((key, Some(window)), &value, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Sorts entries by time, then key, as Kafka's in-memory stores keep them.
pub(crate) fn by_time<'a, T: 'a>(
    entries: impl Iterator<Item = RawEntry<T>>,
    direction: Direction,
) -> Result<RawEntries<'a, T>, StoreError> {
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    let place = |bytes: &[u8]| key_schema::split(bytes).map(|(key, start)| (start, key.to_vec()));
    // A stable sort: duplicates of one key and time stay in the order of their sequence numbers.
    entries.sort_by_cached_key(|(bytes, _)| place(bytes));
    if direction == Direction::Backward {
        entries.reverse();
    }
    Ok(Box::new(entries.into_iter().map(Ok)))
}
