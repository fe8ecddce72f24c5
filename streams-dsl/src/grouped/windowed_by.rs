//! `windowed_by`: cutting a grouped stream, or several, into windows.

use std::sync::Arc;

use streams_core::record::Data;

use super::window_store::Spans;
use super::{
    CogroupedKStream, KGroupedStream, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    TimeWindowedCogroupedKStream, TimeWindowedKStream,
};
use crate::windows::{EmitStrategy, SessionWindows, SlidingWindows, Windows};

/// What a grouped stream, `G`, can be cut into.
#[diagnostic::on_unimplemented(
    message = "a stream cannot be cut into windows by `{Self}`",
    note = "say how late records may be: `.grace(..)` or `.no_grace()` behind `TimeWindows::of_size(..)`, \
            `SlidingWindows::of_time_difference(..)` or `SessionWindows::of_inactivity_gap(..)`",
    note = "windows of your own implement `Windows`"
)]
pub trait WindowedBy<G> {
    /// What the cut stream is.
    type Output;

    /// Cuts the stream.
    fn cut(self, grouped: G) -> Self::Output;
}

impl<K, V, W: Windows> WindowedBy<KGroupedStream<K, V>> for W {
    type Output = TimeWindowedKStream<K, V>;

    fn cut(self, grouped: KGroupedStream<K, V>) -> Self::Output {
        let (spans, emit) = (Spans::Fixed(Arc::new(self)), EmitStrategy::default());
        TimeWindowedKStream { grouped, spans, emit }
    }
}

impl<K, V> WindowedBy<KGroupedStream<K, V>> for SlidingWindows {
    type Output = TimeWindowedKStream<K, V>;

    fn cut(self, grouped: KGroupedStream<K, V>) -> Self::Output {
        TimeWindowedKStream { grouped, spans: Spans::Sliding(self), emit: EmitStrategy::default() }
    }
}

impl<K, V> WindowedBy<KGroupedStream<K, V>> for SessionWindows {
    type Output = SessionWindowedKStream<K, V>;

    fn cut(self, grouped: KGroupedStream<K, V>) -> Self::Output {
        SessionWindowedKStream { grouped, windows: self, emit: EmitStrategy::default() }
    }
}

impl<K, A, W: Windows> WindowedBy<CogroupedKStream<K, A>> for W {
    type Output = TimeWindowedCogroupedKStream<K, A>;

    fn cut(self, cogrouped: CogroupedKStream<K, A>) -> Self::Output {
        TimeWindowedCogroupedKStream { cogrouped, spans: Spans::Fixed(Arc::new(self)) }
    }
}

impl<K, A> WindowedBy<CogroupedKStream<K, A>> for SlidingWindows {
    type Output = TimeWindowedCogroupedKStream<K, A>;

    fn cut(self, cogrouped: CogroupedKStream<K, A>) -> Self::Output {
        TimeWindowedCogroupedKStream { cogrouped, spans: Spans::Sliding(self) }
    }
}

impl<K, A> WindowedBy<CogroupedKStream<K, A>> for SessionWindows {
    type Output = SessionWindowedCogroupedKStream<K, A>;

    fn cut(self, cogrouped: CogroupedKStream<K, A>) -> Self::Output {
        SessionWindowedCogroupedKStream { cogrouped, windows: self }
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
    pub fn windowed_by<W: WindowedBy<KGroupedStream<K, V>>>(&self, windows: W) -> W::Output {
        windows.cut(self.clone())
    }
}

impl<K: Data, A: Data> CogroupedKStream<K, A> {
    /// Cuts the streams into windows of event time, with one aggregate for each key and window.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let fares = builder.stream::<String, i64>("fares").group_by_key();
    /// let tips = builder.stream::<String, i64>("tips").group_by_key();
    /// let income = fares.cogroup(|_, fare, sum: i64| sum + fare).cogroup(&tips, |_, tip, sum| sum + tip);
    /// let windows = TimeWindows::of_size(Duration::from_secs(10)).no_grace();
    /// let sums = income.windowed_by(windows).aggregate(|| 0);
    /// sums.to_stream().map(|zone, sum| (zone.key, sum)).to("income");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let (fares, tips) = (driver.input_topic::<String, i64>("fares"), driver.input_topic::<String, i64>("tips"));
    /// fares.pipe_at(&mut driver, "north".to_owned(), 7, 1_000)?;
    /// tips.pipe_at(&mut driver, "north".to_owned(), 2, 2_000)?;
    /// tips.pipe_at(&mut driver, "north".to_owned(), 1, 12_000)?;
    /// let out = driver.output_topic::<String, i64>("income");
    /// assert_eq!(out.read_values(&mut driver)?, [7, 9, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn windowed_by<W: WindowedBy<CogroupedKStream<K, A>>>(&self, windows: W) -> W::Output {
        windows.cut(self.clone())
    }
}
