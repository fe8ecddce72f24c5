//! How much a suppressed table may keep back.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::StoreOptions;
use super::materialized::Backend;

/// A full buffer sends its oldest changes early.
#[derive(Debug, Clone, Copy)]
pub struct EmitEarly;

/// A full buffer ends the task.
#[derive(Debug, Clone, Copy)]
pub struct ShutDown;

/// How much a suppressed table may keep back, and what becomes of a buffer that is full: see
/// [`KTable::suppress`](crate::KTable::suppress).
///
/// `Full` says what happens then, [`EmitEarly`] or [`ShutDown`]: final results can only be had of buffers that never emit
/// early, and that is checked when the program is compiled.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// let small = BufferConfig::max_records(1_000).and_max_bytes(1 << 20);
/// let strict = BufferConfig::max_bytes(64 << 20).shut_down_when_full();
/// let any = BufferConfig::unbounded().changelog_setting("min.insync.replicas", "2");
/// # let _ = (small, strict, any);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct BufferConfig<Full> {
    pub(crate) max_records: Option<usize>,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) store: StoreOptions,
    full: PhantomData<Full>,
}

impl BufferConfig<ShutDown> {
    /// As many changes as memory holds.
    pub fn unbounded() -> Self {
        BufferConfig::bounded(None, None)
    }
}

impl BufferConfig<EmitEarly> {
    /// At most so many rows; the oldest leave early when there are more.
    pub fn max_records(records: usize) -> Self {
        BufferConfig::bounded(Some(records), None)
    }

    /// At most so many bytes of keys, values and headers; the oldest leave early when there are more.
    pub fn max_bytes(bytes: usize) -> Self {
        BufferConfig::bounded(None, Some(bytes))
    }
}

impl<Full> BufferConfig<Full> {
    /// At most so many rows as well.
    pub fn and_max_records(self, records: usize) -> Self {
        BufferConfig { max_records: Some(records), ..self }
    }

    /// At most so many bytes of keys, values and headers as well.
    pub fn and_max_bytes(self, bytes: usize) -> Self {
        BufferConfig { max_bytes: Some(bytes), ..self }
    }

    /// A full buffer sends its oldest changes early, as if they had waited long enough.
    pub fn emit_early_when_full(self) -> BufferConfig<EmitEarly> {
        self.when_full()
    }

    /// A full buffer ends the task with an error, whatever `processing.exception.handler` says.
    pub fn shut_down_when_full(self) -> BufferConfig<ShutDown> {
        self.when_full()
    }

    /// Whether changes go to a changelog topic, from which the buffer is restored; they do by default.
    pub fn logging(mut self, logging: bool) -> Self {
        self.store.logging = logging;
        self
    }

    /// Sets a topic setting of the changelog, for instance `min.insync.replicas`.
    pub fn changelog_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.store.changelog.insert(name.into(), value.into());
        self
    }

    /// Keeps the buffer in memory alone, as Kafka Streams does: it is restored from its changelog at each start.
    /// Without this it is written to the task's database at each commit as well, and a restart is at once where it was.
    pub fn in_memory(mut self) -> Self {
        self.store.backend = Backend::InMemory;
        self
    }

    fn bounded(max_records: Option<usize>, max_bytes: Option<usize>) -> Self {
        let store = StoreOptions {
            caching: false,
            logging: true,
            changelog: BTreeMap::new(),
            retention: None,
            history: None,
            backend: Backend::Persistent,
        };
        BufferConfig { max_records, max_bytes, store, full: PhantomData }
    }

    fn when_full<Other>(self) -> BufferConfig<Other> {
        let BufferConfig { max_records, max_bytes, store, full: _ } = self;
        BufferConfig { max_records, max_bytes, store, full: PhantomData }
    }
}

/// What becomes of a full buffer, as [`BufferConfig`] says it.
pub trait WhenFull {
    /// Whether the oldest changes leave early.
    #[doc(hidden)]
    const EMITS_EARLY: bool;
}

impl WhenFull for EmitEarly {
    const EMITS_EARLY: bool = true;
}

impl WhenFull for ShutDown {
    const EMITS_EARLY: bool = false;
}
