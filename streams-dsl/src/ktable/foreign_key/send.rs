//! The left table's node: it tells foreign keys which rows are interested in them (`SubscriptionSendProcessorSupplier`).

use std::any::Any;
use std::sync::Arc;

use streams_core::processor::{InitContext, Node, NodeContext, ProcessorError, slot_of};
use streams_core::record::{Data, Record};
use streams_core::topology::ProcessorSpec;

use super::hash::hash_row;
use super::parts::{Extract, Parts};
use super::wire::{Instruction, Subscription};
use crate::change::Change;
use crate::options::SharedSerde;

/// The node.
pub(super) fn spec<K: Data, V: Data, FK: Data, FV: Data, R: Data>(
    parts: &Parts<K, V, FK, FV, R>,
) -> ProcessorSpec {
    let (values, foreign_keys) = (Arc::clone(&parts.values), Arc::clone(&parts.foreign_keys));
    let (extract, left) = (Arc::clone(&parts.extract), parts.left);
    ProcessorSpec::from_factory::<K, Change<V>, Option<FK>, Subscription<K>>(
        move |_: &mut InitContext<'_>| {
            Ok(Box::new(Send {
                values: Arc::clone(&values),
                foreign_keys: Arc::clone(&foreign_keys),
                extract: Arc::clone(&extract),
                left,
                bytes: [Vec::new(), Vec::new()],
            }))
        },
    )
}

struct Send<K, V, FK> {
    values: SharedSerde<V>,
    foreign_keys: SharedSerde<FK>,
    extract: Extract<K, V, FK>,
    left: bool,
    bytes: [Vec<u8>; 2],
}

impl<K: Data, V: Data, FK: Data> Node for Send<K, V, FK> {
    fn process(&mut self, slot: &mut dyn Any, context: &mut NodeContext<'_>) -> Result<(), ProcessorError> {
        let Some(record) = slot_of::<K, Change<V>>(slot)?.take() else { return Ok(()) };
        let Record { key, value: Change { old, new, is_latest }, timestamp, headers } = record;
        if !is_latest {
            // A late change of a versioned table is none to a join (KIP-914).
            context.shared().dropped_records += 1;
            return Ok(());
        }
        let old_key = old.as_ref().and_then(|old| self.foreign_key(&key, old));
        let new_key = new.as_ref().and_then(|new| self.foreign_key(&key, new));
        let changed = old_key.is_some() && self.differ(old_key.as_ref(), new_key.as_ref())?;
        if new.is_some() && new_key.is_none() && !self.left {
            // A row that refers to nothing is in no inner join.
            context.shared().dropped_records += 1;
        }
        let had_row = old.is_some();
        let (unsubscribe, subscribe) = match self.left {
            true => left_join(changed, had_row || new.is_some()),
            false => inner_join(changed, old_key.is_some(), new_key.is_some()),
        };
        let hash = match new {
            Some(new) => {
                self.bytes[0].clear();
                self.values.serialize(&new, &mut self.bytes[0])?;
                Some(hash_row(&self.bytes[0]))
            }
            None => None,
        };
        let partition = Some(context.shared().partition);
        let message = |foreign: Option<FK>, instruction| Record {
            key: foreign,
            value: Subscription { hash, instruction, key: key.clone(), partition },
            timestamp,
            headers: headers.clone(),
        };
        if let Some(instruction) = unsubscribe {
            context.forward(message(old_key, instruction))?;
        }
        match subscribe {
            Some(instruction) => context.forward(message(new_key, instruction)),
            None => Ok(()),
        }
    }
}

impl<K: Data, V: Data, FK: Data> Send<K, V, FK> {
    fn foreign_key(&self, key: &K, row: &V) -> Option<FK> {
        (self.extract)(key, row).filter(|foreign| !self.foreign_keys.is_null(foreign))
    }

    /// Keys need no equality of their own: what counts is their bytes.
    fn differ(&mut self, one: Option<&FK>, other: Option<&FK>) -> Result<bool, ProcessorError> {
        let (Some(one), Some(other)) = (one, other) else { return Ok(one.is_some() || other.is_some()) };
        self.bytes.iter_mut().for_each(Vec::clear);
        self.foreign_keys.serialize(one, &mut self.bytes[0])?;
        self.foreign_keys.serialize(other, &mut self.bytes[1])?;
        Ok(self.bytes[0] != self.bytes[1])
    }
}

/// What is said to the old and to the new foreign key of a left join: every change of a row gets an answer, also where
/// it refers to nothing.
fn left_join(changed: bool, any_row: bool) -> (Option<Instruction>, Option<Instruction>) {
    (changed.then_some(Instruction::DeleteSilently), any_row.then_some(Instruction::AnswerAlways))
}

/// What is said to the old and to the new foreign key of an inner join.
fn inner_join(changed: bool, has_old: bool, has_new: bool) -> (Option<Instruction>, Option<Instruction>) {
    match (has_old, has_new) {
        (true, true) if changed => (Some(Instruction::DeleteSilently), Some(Instruction::AnswerAlways)),
        // The row was in the join if it is in it now: nothing need be taken back.
        (_, true) => (None, Some(Instruction::AnswerIfFound)),
        (true, false) => (Some(Instruction::DeleteAndAnswer), None),
        (false, false) => (None, None),
    }
}
