//! `changes`: a table followed from within the program.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use streams_core::record::{Data, Record};
use streams_core::time::Timestamp;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::KTable;
use crate::change::Change;
use crate::kstream::step;

const NAME: &str = "KTABLE-CHANGES-";

/// How many changes are held for a follower that lags; what is older is missed, and the follower is told.
pub const CHANGES_HELD_MAX: usize = 4_096;

impl<K: Data, V: Data> KTable<K, V> {
    /// Follows the table from within the program: an asynchronous stream of the changes of the rows whose tasks this
    /// instance runs, from the start of the application on.
    ///
    /// Tasks never wait for a follower. One that lags by more than [`CHANGES_HELD_MAX`] changes gets an
    /// [`ChangesMissed`] in their place. Changes are told as they are processed, before they are committed: after a
    /// crash some are told again.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    /// use tokio_stream::StreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = StreamsBuilder::new();
    /// let mut changes = builder.table::<String, i64>("ratings").changes();
    ///
    /// let mut driver = TopologyTestDriver::new(builder.build()?)?;
    /// let ratings = driver.input_topic::<String, i64>("ratings");
    /// ratings.pipe_at(&mut driver, "tea".to_owned(), 5, 1_000)?;
    /// ratings.pipe_at(&mut driver, "tea".to_owned(), 2, 2_000)?;
    /// let first = changes.next().await.expect("a first change")?;
    /// assert_eq!((first.key.as_str(), first.old, first.new), ("tea", None, Some(5)));
    /// let second = changes.next().await.expect("a second one")?;
    /// assert_eq!((second.old, second.new, second.timestamp), (Some(5), Some(2), 2_000.into()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes(&self) -> TableChanges<K, V> {
        self.logic.enable_old_values(true);
        let (sender, receiver) = broadcast::channel(CHANGES_HELD_MAX);
        self.place.then(NAME, move |lowering| {
            let sender = sender.clone();
            lowering.processor(step::<K, Change<V>, K, Change<V>>(move |slot, _| {
                if let Some(Record { key, value, timestamp, .. }) = slot.take() {
                    // It fails when nobody follows any more, which is nobody's loss.
                    let _ = sender.send(TableChange { key, old: value.old, new: value.new, timestamp });
                }
                Ok(())
            }));
        });
        TableChanges(BroadcastStream::new(receiver))
    }
}

/// A change of one row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange<K, V> {
    /// The row's key.
    pub key: K,
    /// What it held; none where there was no row.
    pub old: Option<V>,
    /// What it holds now; none where it was deleted.
    pub new: Option<V>,
    /// The change's event time.
    pub timestamp: Timestamp,
}

/// The changes of a table, as an asynchronous stream: see [`KTable::changes`]. It ends when application, topology and
/// builder are gone.
pub struct TableChanges<K, V>(BroadcastStream<TableChange<K, V>>);

/// A follower was too slow for this many changes: it should read the store anew, or follow a topic instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{missed} changes of the table were missed, for more than {CHANGES_HELD_MAX} were waiting: read the store anew, or send \
     the changes to a topic"
)]
pub struct ChangesMissed {
    /// How many.
    pub missed: u64,
}

impl<K: Data, V: Data> Stream for TableChanges<K, V> {
    type Item = Result<TableChange<K, V>, ChangesMissed>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let missed = |BroadcastStreamRecvError::Lagged(missed)| ChangesMissed { missed };
        Pin::new(&mut self.0).poll_next(context).map(|next| next.map(|change| change.map_err(missed)))
    }
}

impl<K, V> fmt::Debug for TableChanges<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableChanges").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamsBuilder;
    use streams_test_driver::TopologyTestDriver;
    use tokio_stream::StreamExt;

    #[tokio::test]
    async fn a_follower_that_lags_is_told_how_many_changes_it_missed() {
        let builder = StreamsBuilder::new();
        let mut changes = builder.table::<String, i64>("ratings").changes();
        let mut driver = TopologyTestDriver::new(builder.build().unwrap()).unwrap();
        let ratings = driver.input_topic::<String, i64>("ratings");
        let sent = CHANGES_HELD_MAX as i64 + 10;
        for rating in 0..sent {
            ratings.pipe(&mut driver, "tea".to_owned(), rating).unwrap();
        }
        assert_eq!(changes.next().await, Some(Err(ChangesMissed { missed: 10 })));
        assert_eq!(changes.next().await.unwrap().unwrap().new, Some(10));
        drop((driver, builder));
        assert_eq!(changes.fold(0, |count, _| count + 1).await, sent - 11, "all others, and then the end");
    }
}
