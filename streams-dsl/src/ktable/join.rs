//! Joining two tables row by row: `join`, `left_join`, `outer_join`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::KTable;
use super::output::TableOutput;
use super::store::TableStore;
use super::view::{Getter, Lookup, TableLogic, View};
use crate::change::Change;
use crate::plan::{Name, NodeId, OperatorId, Place, PlanNode};

/// A row of the joined table; none where there is none.
type Joiner<L, R, O> = Arc<dyn Fn(Option<&L>, Option<&R>) -> Option<O> + Send + Sync>;

/// Which rows the joined table has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inner,
    Left,
    Outer,
}

impl<K: Data, V: Data> KTable<K, V> {
    /// The table of the rows that both tables have. A change of either side is joined with the other's present row; its
    /// time is the later of both.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    /// use streams_test_driver::TopologyTestDriver;
    ///
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<i64, String>("names");
    /// let cities = builder.table::<i64, String>("cities");
    /// names.join(&cities, |name, city| format!("{name} of {city}")).to_stream().to("people");
    /// let topology = builder.build()?;
    ///
    /// let mut driver = TopologyTestDriver::new(topology)?;
    /// driver.input_topic::<i64, String>("names").pipe(&mut driver, 1, "Ada".to_owned())?;
    /// driver.input_topic::<i64, String>("cities").pipe(&mut driver, 1, "Kiel".to_owned())?;
    /// let people = driver.output_topic::<i64, String>("people");
    /// assert_eq!(people.read_values(&mut driver)?, ["Ada of Kiel"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join<T: Data, R: Data>(
        &self,
        other: &KTable<K, T>,
        joiner: impl Fn(&V, &T) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.join_table(other, Kind::Inner, Arc::new(move |left, right| Some(joiner(left?, right?))))
    }

    /// The table of this table's rows, each with the other's row where there is one.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<i64, String>("names");
    /// let cities = builder.table::<i64, String>("cities");
    /// names.left_join(&cities, |name, city| format!("{name} of {city:?}")).to_stream().to("people");
    /// ```
    pub fn left_join<T: Data, R: Data>(
        &self,
        other: &KTable<K, T>,
        joiner: impl Fn(&V, Option<&T>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        self.join_table(other, Kind::Left, Arc::new(move |left, right| Some(joiner(left?, right))))
    }

    /// The table of the rows that either table has.
    ///
    /// ```
    /// use streams_dsl::prelude::*;
    ///
    /// let builder = StreamsBuilder::new();
    /// let names = builder.table::<i64, String>("names");
    /// let cities = builder.table::<i64, String>("cities");
    /// names.outer_join(&cities, |name, city| format!("{name:?} of {city:?}")).to_stream().to("people");
    /// ```
    pub fn outer_join<T: Data, R: Data>(
        &self,
        other: &KTable<K, T>,
        joiner: impl Fn(Option<&V>, Option<&T>) -> R + Send + Sync + 'static,
    ) -> KTable<K, R> {
        let joiner = move |left: Option<&V>, right: Option<&T>| {
            (left.is_some() || right.is_some()).then(|| joiner(left, right))
        };
        self.join_table(other, Kind::Outer, Arc::new(joiner))
    }

    fn join_table<T: Data, R: Data>(
        &self,
        other: &KTable<K, T>,
        kind: Kind,
        joiner: Joiner<V, T, R>,
    ) -> KTable<K, R> {
        let sources = self.place.sources_with(&other.place);
        let (operator, merge_name) = self.place.generate("KTABLE-MERGE-");
        if kind != Kind::Inner {
            self.logic.enable_old_values(true);
        }
        if kind == Kind::Outer {
            other.logic.enable_old_values(true);
        }
        let logic = Rc::new(Joined {
            left: Rc::clone(&self.logic),
            right: Rc::clone(&other.logic),
            joiner: Arc::clone(&joiner),
            send_old: Cell::new(false),
            store: RefCell::new(None),
        });
        let mirrored: Joiner<T, V, R> = {
            let joiner = Arc::clone(&joiner);
            Arc::new(move |right, left| joiner(left, right))
        };
        let needs_right = kind == Kind::Inner;
        let needs_left = kind != Kind::Outer;
        let side =
            Side { prefix: "KTABLE-JOINTHIS-", suffix: "-join-this", needs_other: needs_right, operator };
        let this = self.add_side(other.logic.view(), joiner, side, &logic);
        let side =
            Side { prefix: "KTABLE-JOINOTHER-", suffix: "-join-other", needs_other: needs_left, operator };
        let that = other.add_side(self.logic.view(), mirrored, side, &logic);
        let of_node = Rc::clone(&logic);
        let copartitioned = sources.clone();
        let merge = PlanNode::new(merge_name, [this, that], move |lowering| {
            let (store, send_old) = (of_node.store.borrow().clone(), of_node.send_old.get());
            let opened = store.clone();
            lowering.processor(ProcessorSpec::from_factory::<K, Change<R>, K, Change<R>>(
                move |context: &mut InitContext<'_>| {
                    Ok(Box::new(Merge { output: TableOutput::open(opened.as_ref(), send_old, context)? }))
                },
            ));
            if let Some(store) = &store {
                store.add_to(lowering);
            }
            lowering.copartition(&copartitioned);
        });
        let node = self.place.plan.borrow_mut().add(merge);
        let place = Place { plan: Rc::clone(&self.place.plan), node, operator, sources };
        KTable { place, logic, key_serde: self.key_serde.clone(), value_serde: None }
    }

    /// Adds the node that joins this table's changes with the other side's rows.
    fn add_side<T: Data, R: Data>(
        &self,
        rows: View<K, T>,
        joiner: Joiner<V, T, R>,
        side: Side,
        logic: &Rc<impl SendsOld + 'static>,
    ) -> NodeId {
        let mut plan = self.place.plan.borrow_mut();
        let name = Name::suffixed(side.operator, side.suffix, plan.generate(side.prefix));
        let logic = Rc::clone(logic);
        plan.add(PlanNode::new(name, [self.place.node], move |lowering| {
            let (make, joiner, send_old) = (Arc::clone(&rows.make), Arc::clone(&joiner), logic.sends_old());
            let spec = ProcessorSpec::from_factory::<K, Change<V>, K, Change<R>>(
                move |context: &mut InitContext<'_>| {
                    let (rows, joiner) = (make(context)?, Arc::clone(&joiner));
                    Ok(Box::new(JoinSide { rows, joiner, needs_other: side.needs_other, send_old }))
                },
            );
            lowering.processor(spec.with_stores(rows.stores.iter().cloned()));
        }))
    }
}

/// One side of a join, to be added.
#[derive(Clone, Copy)]
struct Side {
    prefix: &'static str,
    suffix: &'static str,
    /// Without a row on the other side nothing is sent.
    needs_other: bool,
    operator: OperatorId,
}

/// Whether old values are asked for, once all is known.
trait SendsOld {
    fn sends_old(&self) -> bool;
}

struct Joined<K, L, R, O> {
    left: Rc<dyn TableLogic<K, L>>,
    right: Rc<dyn TableLogic<K, R>>,
    joiner: Joiner<L, R, O>,
    send_old: Cell<bool>,
    store: RefCell<Option<TableStore<K, O>>>,
}

impl<K, L, R, O> SendsOld for Joined<K, L, R, O> {
    fn sends_old(&self) -> bool {
        self.send_old.get()
    }
}

impl<K: Data, L: Data, R: Data, O: Data> TableLogic<K, O> for Joined<K, L, R, O> {
    fn enable_old_values(&self, _force: bool) -> bool {
        self.left.enable_old_values(true);
        self.right.enable_old_values(true);
        self.send_old.set(true);
        true
    }

    fn view(&self) -> View<K, O> {
        if let Some(store) = &*self.store.borrow() {
            return View::of_store(store);
        }
        let (left, right, joiner) = (self.left.view(), self.right.view(), Arc::clone(&self.joiner));
        let stores = left.stores.iter().chain(&right.stores).cloned().collect();
        View {
            stores,
            make: Arc::new(move |context| {
                let (left, right) = ((left.make)(context)?, (right.make)(context)?);
                Ok(Box::new(JoinedRows { left, right, joiner: Arc::clone(&joiner) }))
            }),
        }
    }

    fn materialize(&self, store: TableStore<K, O>) -> Result<(), String> {
        store.keep_in(&self.store)
    }
}

struct JoinedRows<K, L, R, O> {
    left: Box<dyn Getter<K, L>>,
    right: Box<dyn Getter<K, R>>,
    joiner: Joiner<L, R, O>,
}

impl<K, L, R, O> Getter<K, O> for JoinedRows<K, L, R, O> {
    fn get(&mut self, key: &K, context: &mut NodeContext<'_>) -> Lookup<O> {
        let (left, right) = (self.left.get(key, context)?, self.right.get(key, context)?);
        let joined = (self.joiner)(left.as_ref().map(|row| &row.value), right.as_ref().map(|row| &row.value));
        let time = left.as_ref().map(|row| row.timestamp).max(right.as_ref().map(|row| row.timestamp));
        Ok(joined.zip(time).map(|(value, timestamp)| ValueAndTimestamp { value, timestamp }))
    }
}

struct JoinSide<K, V, T, O> {
    rows: Box<dyn Getter<K, T>>,
    joiner: Joiner<V, T, O>,
    needs_other: bool,
    send_old: bool,
}

impl<K: Data, V: Data, T: Data, O: Data> Node for JoinSide<K, V, T, O> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, is_latest }, timestamp, headers } = record;
        if !is_latest {
            // A late change of a versioned table is none to a join (KIP-914).
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let other = self.rows.get(&key, context)?;
        if other.is_none() && (self.needs_other || (old.is_none() && new.is_none())) {
            return Ok(());
        }
        let row = other.as_ref().map(|row| &row.value);
        let timestamp = other.as_ref().map_or(timestamp, |row| row.timestamp.max(timestamp));
        let before = if self.send_old { (self.joiner)(old.as_ref(), row) } else { None };
        let value = Change::new(before, (self.joiner)(new.as_ref(), row));
        context.forward(Record { key, value, timestamp, headers })
    }
}

struct Merge<K, O> {
    output: TableOutput<K, O>,
}

impl<K: Data, O: Data> Node for Merge<K, O> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        match slot_of::<K, Change<O>>(slot)?.take() {
            Some(record) => self.output.emit(record, context),
            None => Ok(()),
        }
    }

    fn flush(&mut self, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        self.output.flush(context)
    }
}
