//! The table that a foreign-key join makes.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use crate::change::Change;
use crate::ktable::output::TableOutput;
use crate::ktable::{TableLogic, TableStore, View};
use crate::plan::{OwedNumber, Place};

/// The plan's side of the result: it has a store where it was named, or where something behind it needs one.
pub(super) struct ResultTable<K, R> {
    /// The store that it gets if it needs one and none was named; none where no serde of its rows is known.
    pub(super) own: Option<TableStore<K, R>>,
    pub(super) named: RefCell<Option<TableStore<K, R>>>,
    pub(super) stored: Cell<bool>,
    pub(super) send_old: Cell<bool>,
    /// The number in the name of its own store: Kafka Streams takes it only where none was named.
    pub(super) number: OwedNumber,
    pub(super) place: Place,
}

impl<K: Data, R: Data> ResultTable<K, R> {
    /// The store, if it is to be there.
    pub(super) fn store(&self) -> Option<TableStore<K, R>> {
        self.named.borrow().clone().or_else(|| self.own.clone().filter(|_| self.stored.get()))
    }

    /// Notes that something behind it looks rows up; a fault where there is nothing to keep them with.
    fn need_store(&self) {
        if self.store().is_none() && self.own.is_none() && !self.stored.get() {
            self.place.fault(format!(
                "the result of the foreign-key join of table `{}` is looked up by what follows, and no serde for its rows \
                 is known: keep it in a store by `.materialized(Materialized::with(key_serde, value_serde).name(..))`",
                self.place.name()
            ));
        }
        self.stored.set(true);
    }

    /// The node.
    pub(super) fn spec(&self) -> ProcessorSpec {
        let (store, send_old) = (self.store(), self.send_old.get());
        ProcessorSpec::from_factory::<K, Option<R>, K, Change<R>>(move |context: &mut InitContext<'_>| {
            Ok(Box::new(ResultNode { output: TableOutput::open(store.as_ref(), send_old, context)? }))
        })
    }
}

impl<K: Data, R: Data> TableLogic<K, R> for ResultTable<K, R> {
    fn enable_old_values(&self, force: bool) -> bool {
        if !force && self.store().is_none() {
            return false;
        }
        self.need_store();
        self.send_old.set(true);
        true
    }

    fn view(&self) -> View<K, R> {
        self.need_store();
        self.store().map_or_else(View::of_nothing, |store| View::of_store(&store))
    }

    fn materialize(&self, store: TableStore<K, R>) -> Result<(), String> {
        self.place.plan.borrow_mut().forgive(self.number);
        store.keep_in(&self.named)
    }

    fn is_versioned(&self) -> bool {
        self.store().is_some_and(|store| store.options.history.is_some())
    }
}

struct ResultNode<K, R> {
    output: TableOutput<K, R>,
}

impl<K: Data, R: Data> Node for ResultNode<K, R> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Option<R>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: new, timestamp, headers } = record;
        let old = self.output.old(&key, context, || None)?;
        self.output.emit(Record { key, value: Change::new(old, new), timestamp, headers }, context)
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}

/// The result as other tables see it.
pub(super) type SharedResult<K, R> = Rc<ResultTable<K, R>>;
