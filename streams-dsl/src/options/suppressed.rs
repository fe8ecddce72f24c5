//! Until when changes of a table are kept back.

use std::fmt;
use std::time::Duration;

use state_stores::Windowed;
use streams_core::time::Timestamp;

use super::StoreOptions;
use super::buffer_config::{BufferConfig, ShutDown, WhenFull};

/// Until when changes of a table are kept back, of each row the latest: see [`KTable::suppress`](crate::KTable::suppress).
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// let ratings = builder.table::<String, i64>("ratings");
/// let minute = Duration::from_secs(60);
/// let calm = ratings.suppress(Suppressed::until_time_limit(minute, BufferConfig::max_records(10_000)).name("calm"));
/// calm.to_stream().to("calm-ratings");
/// assert!(builder.build()?.describe().contains("Processor: calm (stores: [calm-store])"));
/// # Ok::<(), TopologyError>(())
/// ```
#[must_use]
pub struct Suppressed<K> {
    pub(crate) name: Option<String>,
    pub(crate) until: Until<K>,
    pub(crate) bounds: Bounds,
    pub(crate) store: StoreOptions,
}

/// Until when.
pub(crate) enum Until<K> {
    /// For so long behind the time of the row's first change that waits.
    TimeLimit(Duration),
    /// Until the window is closed, that is for the grace period of its windows behind this end.
    WindowCloses(fn(&K) -> Timestamp),
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) max_records: usize,
    pub(crate) max_bytes: usize,
    pub(crate) emits_early: bool,
}

impl<K> Suppressed<Windowed<K>> {
    /// Until its window is closed, so that of each window one result is sent: the final one. A window is closed when
    /// event time has reached its end and the grace period of the windows is over. Deletions of rows that were never
    /// sent are left out.
    ///
    /// A buffer that is full ends the task, as early results would not be final ones.
    pub fn until_window_closes(buffer: BufferConfig<ShutDown>) -> Self {
        Suppressed::new(Until::WindowCloses(|key| key.window.end), buffer)
    }
}

impl<K> Suppressed<K> {
    /// Until event time is past the row's first change that waits by `wait`: each row changes at most once in that time.
    pub fn until_time_limit<Full: WhenFull>(wait: Duration, buffer: BufferConfig<Full>) -> Self {
        Suppressed::new(Until::TimeLimit(wait), buffer)
    }

    /// With this name for the node; the buffer is then called `<name>-store`.
    pub fn name(self, name: impl Into<String>) -> Self {
        Suppressed { name: Some(name.into()), ..self }
    }

    fn new<Full: WhenFull>(until: Until<K>, buffer: BufferConfig<Full>) -> Self {
        let bounds = Bounds {
            max_records: buffer.max_records.unwrap_or(usize::MAX),
            max_bytes: buffer.max_bytes.unwrap_or(usize::MAX),
            emits_early: Full::EMITS_EARLY,
        };
        Suppressed { name: None, until, bounds, store: buffer.store }
    }
}

impl<K> Clone for Until<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Until<K> {}

impl<K> Clone for Suppressed<K> {
    fn clone(&self) -> Self {
        let (name, store) = (self.name.clone(), self.store.clone());
        Suppressed { name, until: self.until, bounds: self.bounds, store }
    }
}

impl<K> fmt::Debug for Suppressed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = match self.until {
            Until::TimeLimit(wait) => format!("time limit {wait:?}"),
            Until::WindowCloses(_) => "window closes".to_owned(),
        };
        f.debug_struct("Suppressed")
            .field("name", &self.name)
            .field("until", &until)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
