//! Reading one key's windows without making their keys: what joins do for every record.

use std::ops::Bound;

use streams_core::state::{Direction, StoreError};
use streams_core::{Data, Timestamp};

use super::{WindowStore, key_schema};
use crate::key_value::write_key;

impl<K: 'static, T: Data> WindowStore<K, T> {
    /// Hands the windows of a key that begin between two times, both included, to `visit`, in the order of
    /// [`WindowStore::fetch_between`]: begin and value, which saves making keys.
    ///
    /// # Errors
    /// As [`WindowStore::fetch`].
    pub fn visit_between(
        &mut self,
        key: &K,
        from: Timestamp,
        to: Timestamp,
        mut visit: impl FnMut(Timestamp, T),
    ) -> Result<(), StoreError> {
        let (numbers, from) = self.readable(from, to);
        if numbers.is_empty() {
            return Ok(());
        }
        let to = to.as_millis();
        let mut lower = std::mem::take(&mut self.key_bytes);
        lower.clear();
        write_key(&*self.key_serde, key, &mut lower, self.layers.name())?;
        let key_len = lower.len();
        let mut upper = Vec::with_capacity(key_len + key_schema::SUFFIX_LEN);
        upper.extend_from_slice(&lower);
        key_schema::append_suffix(&mut lower, from, 0);
        key_schema::append_suffix(&mut upper, to, i32::MAX);
        self.layers.sort();
        let bounds = (Bound::Included(&*lower), Bound::Included(&*upper));
        for number in numbers {
            for entry in self.layers.scan(Some(number), bounds, Direction::Forward)? {
                let (bytes, value) = entry?;
                // Longer keys that begin with this one lie between its times.
                let start = key_schema::split(&bytes).filter(|(found, _)| **found == lower[..key_len]);
                if let Some((_, start)) = start.filter(|(_, start)| (from..=to).contains(start)) {
                    visit(Timestamp::from_millis(start), value);
                }
            }
        }
        self.key_bytes = lower;
        Ok(())
    }
}
