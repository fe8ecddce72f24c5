//! Keys with a window.

use streams_core::Timestamp;

/// A span of event time; whether `end` belongs to it depends on the kind of window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first moment that belongs to it.
    pub start: Timestamp,
    /// Its end: the first moment behind a time window, the last one within a sliding or session window.
    pub end: Timestamp,
}

impl Window {
    /// A window from `start` to `end`.
    pub fn new(start: impl Into<Timestamp>, end: impl Into<Timestamp>) -> Self {
        Window { start: start.into(), end: end.into() }
    }
}

/// A key within a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
}

impl<K> Windowed<K> {
    /// A key within a window.
    pub fn new(key: K, window: Window) -> Self {
        Windowed { key, window }
    }
}
