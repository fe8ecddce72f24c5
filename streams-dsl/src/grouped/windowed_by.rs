//! `windowed_by`: cutting a grouped stream into windows.

use std::sync::Arc;

use streams_core::record::Data;

use super::{KGroupedStream, TimeWindowedKStream};
use crate::windows::Windows;

/// What a grouped stream can be cut into.
#[diagnostic::on_unimplemented(
    message = "a stream cannot be cut into windows by `{Self}`",
    note = "say how late records may be: `.grace(..)` or `.no_grace()` behind `TimeWindows::of_size(..)`",
    note = "windows of your own implement `Windows`"
)]
pub trait WindowedBy<K, V> {
    /// What the cut stream is.
    type Output;

    /// Cuts the stream.
    fn cut(self, grouped: KGroupedStream<K, V>) -> Self::Output;
}

impl<K, V, W: Windows> WindowedBy<K, V> for W {
    type Output = TimeWindowedKStream<K, V>;

    fn cut(self, grouped: KGroupedStream<K, V>) -> Self::Output {
        TimeWindowedKStream { grouped, windows: Arc::new(self) }
    }
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Cuts the stream into windows of event time.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares");
    /// let ten = Duration::from_secs(10);
    /// let hopping = TimeWindows::of_size(ten).advance_by(ten / 2).grace(ten);
    /// fares.group_by_key().windowed_by(hopping).count().to_stream().map(|zone, count| (zone.window.start.as_millis(), count)).to("counts");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let fares = driver.input_topic::<String, i64>("fares");
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 12_000)?;
    /// let out = driver.output_topic::<i64, i64>("counts");
    /// assert_eq!(out.read_key_values(&mut driver)?, [(5_000, 1), (10_000, 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn windowed_by<W: WindowedBy<K, V>>(&self, windows: W) -> W::Output {
        windows.cut(self.clone())
    }
}
