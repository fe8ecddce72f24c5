//! `windowed_by`, which only a grouped stream has.

use super::KStream;

/// What a stream must be before it can be cut into windows; no stream is, so that the compiler tells the remedy.
#[diagnostic::on_unimplemented(
    message = "a stream must be grouped before it is cut into windows",
    label = "not grouped",
    note = "windows are aggregated key by key: say `.group_by_key()` or `.group_by(..)` before `.windowed_by(..)`",
    note = "to join two streams within a span of time: `left.join(right.within(JoinWindows::of(..)), ..)`"
)]
pub trait Grouping<W> {
    /// What the cut stream would be.
    type Output;
}

impl<K, V> KStream<K, V> {
    /// Only a grouped stream can be cut into windows: see
    /// [`KGroupedStream::windowed_by`](crate::KGroupedStream::windowed_by).
    #[doc(hidden)]
    pub fn windowed_by<W>(&self, _windows: W) -> <Self as Grouping<W>>::Output
    where
        Self: Grouping<W>,
    {
        unreachable!("no stream fulfils the bound")
    }
}
