//! The right table's nodes: one keeps who is interested in what (`SubscriptionReceiveProcessorSupplier`), one answers
//! at once (`SubscriptionJoinProcessorSupplier`), one tells of changes (`ForeignTableJoinProcessorSupplier`).

use std::any::Any;
use std::sync::Arc;

use state_stores::ValueAndTimestamp;
use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, StoreHandle, slot_of};
use streams_core::record::{Data, Record};
use streams_core::serdes::Serde;
use streams_core::topology::ProcessorSpec;

use super::parts::{Parts, SubscriptionStore};
use super::wire::{CombinedKey, CombinedKeySerde, Instruction, Response, Subscription};
use crate::change::Change;
use crate::ktable::{Getter, View};

/// The node that keeps subscriptions in the store of this name.
pub(super) fn receive_spec<K: Data, FK: Data>(store: Arc<str>) -> ProcessorSpec {
    let stores = [Arc::clone(&store)];
    let spec = ProcessorSpec::from_factory::<Option<FK>, Subscription<K>, Option<FK>, Subscription<K>>(
        move |context: &mut InitContext<'_>| {
            Ok(Box::new(Receive { store: context.store::<SubscriptionStore<FK, K>>(&store)? }))
        },
    );
    spec.with_stores(stores)
}

struct Receive<FK, K> {
    store: StoreHandle<SubscriptionStore<FK, K>>,
}

impl<FK: Data, K: Data> Node for Receive<FK, K> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let slot = slot_of::<Option<FK>, Subscription<K>>(slot)?;
        let Some(record) = slot.as_ref() else { return Ok(()) };
        let (subscription, timestamp) = (&record.value, record.timestamp);
        match &record.key {
            Some(foreign) => {
                let key = CombinedKey { foreign: foreign.clone(), primary: subscription.key.clone() };
                let kept = (!subscription.instruction.deletes())
                    .then(|| ValueAndTimestamp { value: subscription.clone(), timestamp });
                context.store_mut(self.store).put(&key, kept)?;
            }
            // A left join's row that refers to nothing gets an answer; nothing is kept.
            None if subscription.instruction == Instruction::AnswerAlways => {}
            None => {
                context.shared().dropped_records += 1;
                return Ok(());
            }
        }
        context.forward_slot(slot)
    }
}

/// The node that answers subscriptions with what these rows hold.
pub(super) fn join_spec<K: Data, FK: Data, FV: Data>(rows: &View<FK, FV>) -> ProcessorSpec {
    let (make, stores) = (Arc::clone(&rows.make), rows.stores.clone());
    let spec = ProcessorSpec::from_factory::<Option<FK>, Subscription<K>, K, Response<FV>>(
        move |context: &mut InitContext<'_>| {
            let join: SubscriptionJoin<K, FK, FV> =
                SubscriptionJoin { rows: make(context)?, key: std::marker::PhantomData };
            Ok(Box::new(join))
        },
    );
    spec.with_stores(stores)
}

struct SubscriptionJoin<K, FK, FV> {
    rows: Box<dyn Getter<FK, FV>>,
    key: std::marker::PhantomData<fn(K)>,
}

impl<K: Data, FK: Data, FV: Data> Node for SubscriptionJoin<K, FK, FV> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<Option<FK>, Subscription<K>>(slot)?.take() else { return Ok(()) };
        let Subscription { hash, instruction, key, partition } = record.value;
        let found = match &record.key {
            Some(foreign) => self.rows.get(foreign, context)?,
            None => None,
        };
        let timestamp =
            found.as_ref().map_or(record.timestamp, |found| found.timestamp.max(record.timestamp));
        let value = match instruction {
            Instruction::DeleteSilently => return Ok(()),
            Instruction::AnswerIfFound if found.is_none() => return Ok(()),
            Instruction::DeleteAndAnswer => None,
            Instruction::AnswerAlways | Instruction::AnswerIfFound => found.map(|found| found.value),
        };
        let value = Response { hash, value, partition };
        context.forward(Record { key, value, timestamp, headers: record.headers })
    }
}

/// The node that tells the rows that are interested in a foreign key of its changes.
pub(super) fn foreign_spec<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
    parts: &Parts<K, V, FK, FV, R>,
    store: Arc<str>,
) -> ProcessorSpec {
    let stores = [Arc::clone(&store)];
    let combined = Arc::new(parts.combined_keys());
    let spec = ProcessorSpec::from_factory::<FK, Change<FV>, K, Response<FV>>(
        move |context: &mut InitContext<'_>| {
            let store = context.store::<SubscriptionStore<FK, K>>(&store)?;
            let combined = Arc::clone(&combined);
            let node: ForeignJoin<FK, K, FV> =
                ForeignJoin { store, combined, prefix: Vec::new(), value: std::marker::PhantomData };
            Ok(Box::new(node))
        },
    );
    spec.with_stores(stores)
}

/// How many of a foreign key's subscriptions are held in memory at once.
const MOST_READ_AHEAD: usize = 1024;

struct ForeignJoin<FK, K, FV> {
    store: StoreHandle<SubscriptionStore<FK, K>>,
    combined: Arc<CombinedKeySerde<FK, K>>,
    prefix: Vec<u8>,
    value: std::marker::PhantomData<fn(FV)>,
}

impl<FK: Data, K: Data, FV: Data> Node for ForeignJoin<FK, K, FV> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<FK, Change<FV>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { new, is_latest, .. }, timestamp, headers } = record;
        if !is_latest {
            context.shared().dropped_records += 1;
            return Ok(());
        }
        self.prefix.clear();
        self.combined.write_prefix(&key, &mut self.prefix)?;
        let mut begin = self.prefix.clone();
        loop {
            let found = context.store_mut(self.store).prefix_scan_from(&self.prefix, &begin)?;
            let interested = found.take(MOST_READ_AHEAD).collect::<Result<Vec<_>, _>>()?;
            let last = interested.last().filter(|_| interested.len() == MOST_READ_AHEAD);
            let next = last.map(|(key, _)| self.key_behind(key)).transpose()?;
            for (_, ValueAndTimestamp { value: Subscription { hash, key, partition, .. }, .. }) in interested
            {
                let value = Response { hash, value: new.clone(), partition };
                context.forward(Record { key, value, timestamp, headers: headers.clone() })?;
            }
            match next {
                Some(next) => begin = next,
                None => return Ok(()),
            }
        }
    }
}

impl<FK: Data, K: Data, FV: Data> ForeignJoin<FK, K, FV> {
    /// The first bytes behind a key.
    fn key_behind(&self, key: &CombinedKey<FK, K>) -> Result<Vec<u8>, ProcessorError> {
        let mut bytes = Vec::new();
        self.combined.serialize(key, &mut bytes)?;
        bytes.push(0);
        Ok(bytes)
    }
}
