//! Restart: the ids as the log tells them; what was decided is carried out.

use std::time::Duration;

use super::{Effects, TxnCoordinator};
use crate::moment::Moment;
use crate::protocol::fields::RecordError;
use crate::txn::records;
use crate::txn::transaction::TransactionState;

impl TxnCoordinator {
    /// Takes over one record of the log.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub(crate) fn restore_record(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RecordError> {
        let id = records::read_key(key)?;
        let transaction = value.map(records::read_value).transpose()?.flatten();
        let known = self.ids.remove(&id);
        if let Some(known) = known {
            self.producers.remove(&known.current.producer.id);
        }
        if let Some(transaction) = transaction {
            self.producers.insert(transaction.producer.id, id.clone());
            // Ids that the log has are kept, whatever the limit says now.
            let limit = std::mem::replace(&mut self.config.max_ids, usize::MAX);
            let added = self.add_id(&id, transaction);
            self.config.max_ids = limit;
            debug_assert!(added.is_ok(), "there is no limit");
        }
        Ok(())
    }

    /// All records are read: decided transactions are ended, open ones get what is left of their time.
    pub(crate) fn restored(&mut self, now: Moment) -> Effects {
        let mut out = Effects::default();
        let ids: Vec<String> = self.ids.keys().cloned().collect();
        for id in ids {
            let Some(entry) = self.ids.get(&id) else { continue };
            match entry.current.state {
                TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                    self.mark(&id, &mut out);
                }
                TransactionState::Ongoing => {
                    let age_ms = now.wall_ms.saturating_sub(entry.current.started_ms);
                    let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
                    let left = entry.current.timeout.saturating_sub(age);
                    self.set_deadline(&id, Some(now.after(left)));
                }
                _ => {}
            }
        }
        out
    }
}
