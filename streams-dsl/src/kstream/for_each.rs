//! `for_each` and `print`.

use std::fmt::Debug;
use std::sync::Arc;

use streams_core::record::Data;

use super::{KStream, Sink, step};

const FOR_EACH: &str = "KSTREAM-FOREACH-";
const PRINT: &str = "KSTREAM-PRINTER-";

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Ends the stream with a call for each record.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// builder.stream::<String, String>("words").for_each(move |_, word| drop(sender.send(word.clone())));
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["red", "green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each(&self, act: impl Fn(&K, &V) + Send + Sync + 'static) -> Sink
    where
        K: Data,
        V: Data,
    {
        self.end(FOR_EACH, act)
    }

    /// Ends the stream by printing each record on standard output, as `[label]: key, value`.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").print("words");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn print(&self, label: impl Into<String>) -> Sink
    where
        K: Data + Debug,
        V: Data + Debug,
    {
        let label = label.into();
        self.end(PRINT, move |key, value| println!("[{label}]: {key:?}, {value:?}"))
    }

    fn end(&self, prefix: &str, act: impl Fn(&K, &V) + Send + Sync + 'static) -> Sink
    where
        K: Data,
        V: Data,
    {
        let act = Arc::new(act);
        Sink::at(self.place.then(prefix, move |lowering| {
            let act = Arc::clone(&act);
            lowering.processor(step::<K, V, K, V>(move |slot, _| {
                if let Some(record) = slot {
                    act(&record.key, &record.value);
                }
                Ok(())
            }));
        }))
    }
}
