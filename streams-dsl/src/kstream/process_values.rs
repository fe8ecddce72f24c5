//! `process_values`: a processor that leaves keys alone.

use std::sync::Arc;

use streams_core::processor::{
    InitContext, Processor, ProcessorContext, ProcessorError, PunctuationId, PunctuationType, StoreHandle,
};
use streams_core::record::{Data, Headers, Record, RecordContext};
use streams_core::state::StateStore;
use streams_core::time::Timestamp;
use streams_core::topology::ProcessorSpec;

use super::KStream;
use crate::plan::{Lowering, NodeTag};

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Hands each record to a [`FixedKeyProcessor`] of your own: as [`process`](KStream::process), but keys stay, so
    /// that nothing behind needs a repartition.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// struct Lengths;
    ///
    /// impl FixedKeyProcessor<String, String, i64> for Lengths {
    ///     fn process(
    ///         &mut self,
    ///         record: FixedKeyRecord<String, String>,
    ///         context: &mut FixedKeyContext<'_, '_, '_, String, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let length = record.value().len() as i64;
    ///         context.forward(record.with_value(length))
    ///     }
    /// }
    ///
    /// builder.stream::<String, String>("words").process_values(|_| Ok(Lengths), []).to("lengths");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let lengths = driver.output_topic::<String, i64>("lengths");
    /// assert_eq!(lengths.read_values(&mut driver)?, [3i64, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_values<P, V2>(
        &self,
        make: impl Fn(&mut InitContext<'_>) -> Result<P, ProcessorError> + Send + Sync + 'static,
        stores: impl IntoIterator<Item = &'static str>,
    ) -> KStream<K, V2>
    where
        P: FixedKeyProcessor<K, V, V2> + 'static,
        K: Data,
        V: Data,
        V2: Data,
    {
        let make = Arc::new(make);
        let stores: Vec<Arc<str>> = stores.into_iter().map(Arc::from).collect();
        self.with_values(self.place.then_tagged(
            "KSTREAM-PROCESSVALUES-",
            NodeTag::ValueChanging,
            move |lowering: &mut Lowering<'_>| {
                let make = Arc::clone(&make);
                let spec = ProcessorSpec::new::<_, K, V, K, V2>(move |context| make(context).map(FixedKey));
                lowering.processor(spec.with_stores(stores.iter().cloned()));
            },
        ))
    }
}

/// A record whose key cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedKeyRecord<K, V>(Record<K, V>);

impl<K, V> FixedKeyRecord<K, V> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.0.key
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.0.value
    }

    /// The event time.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.0.headers
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> FixedKeyRecord<K, V2> {
        FixedKeyRecord(self.0.with_value(value))
    }

    /// The same record at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: impl Into<Timestamp>) -> Self {
        FixedKeyRecord(self.0.with_timestamp(timestamp))
    }

    /// The same record with these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        FixedKeyRecord(self.0.with_headers(headers))
    }
}

/// A processor that leaves keys alone. See [`Processor`] for how it is made and called.
pub trait FixedKeyProcessor<K, VIn, VOut>: Send {
    /// Handles one record.
    ///
    /// # Errors
    /// Whatever stands in the way; the task's processing handler decides what follows.
    fn process(
        &mut self,
        record: FixedKeyRecord<K, VIn>,
        context: &mut FixedKeyContext<'_, '_, '_, K, VOut>,
    ) -> Result<(), ProcessorError>;

    /// Handles a punctuation.
    ///
    /// # Errors
    /// As [`FixedKeyProcessor::process`].
    fn punctuate(
        &mut self,
        _punctuation: PunctuationId,
        _time: Timestamp,
        _context: &mut FixedKeyContext<'_, '_, '_, K, VOut>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// Releases what the processor holds outside the task.
    fn close(&mut self) {}
}

/// What a [`FixedKeyProcessor`] may do while it handles a record.
#[derive(Debug)]
pub struct FixedKeyContext<'c, 'a, 'n, K, V>(&'c mut ProcessorContext<'a, 'n, K, V>);

impl<K: Data, V: Data> FixedKeyContext<'_, '_, '_, K, V> {
    /// Sends a record to all children.
    ///
    /// # Errors
    /// Those of the children: pass them on with `?`.
    pub fn forward(&mut self, record: FixedKeyRecord<K, V>) -> Result<(), ProcessorError> {
        self.0.forward(record.0)
    }

    /// The store behind a handle.
    pub fn store_mut<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.0.store_mut(handle)
    }

    /// Where the input record came from; none while a punctuation runs.
    pub fn record_context(&self) -> Option<&RecordContext> {
        self.0.record_context()
    }

    /// The largest event time that the task has seen.
    pub fn stream_time(&self) -> Timestamp {
        self.0.stream_time()
    }

    /// The wall clock as of this step.
    pub fn wall_clock(&self) -> Timestamp {
        self.0.wall_clock()
    }

    /// Asks for a regular call of `punctuate`.
    pub fn schedule(&mut self, interval: std::time::Duration, kind: PunctuationType) -> PunctuationId {
        self.0.schedule(interval, kind)
    }

    /// Ends a punctuation.
    pub fn cancel(&mut self, punctuation: PunctuationId) {
        self.0.cancel(punctuation);
    }
}

struct FixedKey<P>(P);

impl<P: FixedKeyProcessor<K, V, V2>, K: Data, V, V2: Data> Processor<K, V, K, V2> for FixedKey<P> {
    fn process(
        &mut self,
        record: Record<K, V>,
        context: &mut ProcessorContext<'_, '_, K, V2>,
    ) -> Result<(), ProcessorError> {
        self.0.process(FixedKeyRecord(record), &mut FixedKeyContext(context))
    }

    fn punctuate(
        &mut self,
        punctuation: PunctuationId,
        time: Timestamp,
        context: &mut ProcessorContext<'_, '_, K, V2>,
    ) -> Result<(), ProcessorError> {
        self.0.punctuate(punctuation, time, &mut FixedKeyContext(context))
    }

    fn close(&mut self) {
        self.0.close();
    }
}
