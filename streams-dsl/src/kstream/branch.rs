//! `split` and its branches.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use streams_core::record::Data;

use super::{KStream, step};
use crate::options::Branched;
use crate::plan::{Name, NodeTag};

type Test<K, V> = Arc<dyn Fn(&K, &V) -> bool + Send + Sync>;

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Splits the stream: each record goes into the first branch whose test it passes.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, String>("words")
    ///     .split()
    ///     .branch(|_, word| word.starts_with('r'), |reds| {
    ///         reds.to("reds");
    ///     })
    ///     .otherwise(|rest| {
    ///         rest.to("rest");
    ///     });
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let rest = driver.output_topic::<String, String>("rest");
    /// assert_eq!(rest.read_values(&mut driver)?, ["green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(&self) -> BranchedKStream<K, V>
    where
        K: Data,
        V: Data,
    {
        let tests: Rc<RefCell<Vec<Test<K, V>>>> = Rc::default();
        let of_node = Rc::clone(&tests);
        let (operator, name) = self.place.generate("KSTREAM-BRANCH-");
        let place = self.place.append(operator, name.clone(), NodeTag::Plain, move |lowering| {
            let tests: Vec<_> = of_node.borrow().clone();
            lowering.processor(step::<K, V, K, V>(move |slot, context| {
                let Some(record) = slot.take() else { return Ok(()) };
                match tests.iter().position(|test| test(&record.key, &record.value)) {
                    Some(branch) => context.forward_to_nth(branch, record),
                    None => Ok(()),
                }
            }));
        });
        BranchedKStream { stream: self.same(place), name, tests, branches: BTreeMap::new() }
    }
}

/// A stream that is being split into branches.
#[must_use = "end a split with `otherwise(..)` or `no_default()`"]
pub struct BranchedKStream<K, V> {
    stream: KStream<K, V>,
    name: Name,
    tests: Rc<RefCell<Vec<Test<K, V>>>>,
    branches: BTreeMap<String, KStream<K, V>>,
}

impl<K: Data, V: Data> BranchedKStream<K, V> {
    /// Names the split: the prefix of its branches' names. To be said before the first branch.
    pub fn named(self, prefix: impl Into<String>) -> Self {
        self.stream.place.set_name(prefix);
        self
    }

    /// Adds a branch and says at once what becomes of it.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let short = |_: &String, word: &String| word.len() < 4;
    /// words.split().branch(short, |words| drop(words.to("short"))).no_default();
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let short = driver.output_topic::<String, String>("short");
    /// assert_eq!(short.read_values(&mut driver)?, ["red"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn branch(
        mut self,
        test: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        then: impl FnOnce(KStream<K, V>),
    ) -> Self {
        then(self.add(Arc::new(test), Branched::new()));
        self
    }

    /// Adds a branch to be found, under its name, in the map that [`no_default`](BranchedKStream::no_default) or
    /// [`default_branch`](BranchedKStream::default_branch) answers.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let short = |_: &String, word: &String| word.len() < 4;
    /// let branches = words.split().named("by-length-").branch_with(short, Branched::named("short")).no_default();
    /// branches["by-length-short"].to("short");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let short = driver.output_topic::<String, String>("short");
    /// assert_eq!(short.read_values(&mut driver)?, ["red"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn branch_with(
        mut self,
        test: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        branched: Branched,
    ) -> Self {
        let _in_the_map = self.add(Arc::new(test), branched);
        self
    }

    /// Says what becomes of the records that pass no test, and answers all branches by name.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let short = |_: &String, word: &String| word.len() < 4;
    /// words.split().branch(short, |_| ()).otherwise(|rest| drop(rest.to("long")));
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let long = driver.output_topic::<String, String>("long");
    /// assert_eq!(long.read_values(&mut driver)?, ["green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn otherwise(mut self, then: impl FnOnce(KStream<K, V>)) -> BTreeMap<String, KStream<K, V>> {
        then(self.add_default(Branched::new()));
        self.branches
    }

    /// Answers all branches by name, that of the records which pass no test among them: its name ends in `0`, unless
    /// it is given one here.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let short = |_: &String, word: &String| word.len() < 4;
    /// let split = words.split().named("by-length-").branch_with(short, Branched::named("short"));
    /// let branches = split.default_branch(Branched::named("long"));
    /// branches["by-length-long"].to("long");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// let words = driver.input_topic::<String, String>("words");
    /// words.pipe(&mut driver, "a".to_owned(), "red".to_owned())?;
    /// words.pipe(&mut driver, "b".to_owned(), "green".to_owned())?;
    /// let long = driver.output_topic::<String, String>("long");
    /// assert_eq!(long.read_values(&mut driver)?, ["green"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn default_branch(mut self, branched: Branched) -> BTreeMap<String, KStream<K, V>> {
        let _in_the_map = self.add_default(branched);
        self.branches
    }

    /// Drops the records that pass no test, and answers all branches by name.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("words");
    /// let split = words.split().named("by-length-");
    /// let branches = split.branch_with(|_, word| word.len() < 4, Branched::named("short")).no_default();
    /// assert_eq!(branches.keys().collect::<Vec<_>>(), ["by-length-short"]);
    /// ```
    pub fn no_default(self) -> BTreeMap<String, KStream<K, V>> {
        self.branches
    }

    fn add(&mut self, test: Test<K, V>, branched: Branched) -> KStream<K, V> {
        self.tests.borrow_mut().push(test);
        let number = self.tests.borrow().len();
        self.add_child(branched.name.unwrap_or_else(|| number.to_string()))
    }

    fn add_default(&mut self, branched: Branched) -> KStream<K, V> {
        self.tests.borrow_mut().push(Arc::new(|_, _| true));
        self.add_child(branched.name.unwrap_or_else(|| "0".to_owned()))
    }

    fn add_child(&mut self, suffix: String) -> KStream<K, V> {
        let place = &self.stream.place;
        let mut plan = place.plan.borrow_mut();
        // A number is taken for every branch, though its name comes from the split's.
        plan.generate("KSTREAM-BRANCHCHILD-");
        let generated = format!("{}{suffix}", self.name.generated());
        let name = Name::suffixed(place.operator, suffix, generated);
        let key = name.resolve(plan.names()).to_string();
        let operator = plan.operator();
        drop(plan);
        let place = place.append(operator, name, NodeTag::Plain, |lowering| {
            lowering.processor(step::<K, V, K, V>(|slot, context| context.forward_slot(slot)));
        });
        let branch = self.stream.same(place);
        self.branches.insert(key, branch.clone());
        branch
    }
}

impl<K, V> fmt::Debug for BranchedKStream<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BranchedKStream").field("branches", &self.branches.keys()).finish_non_exhaustive()
    }
}
