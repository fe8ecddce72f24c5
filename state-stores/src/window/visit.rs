//! Reading one key's windows without making their keys: what joins do for every record.

use streams_core::state::StoreError;
use streams_core::{Data, Timestamp};

use super::{WindowStore, key_schema};
use crate::key_value::write_key;
use crate::layers::SEGMENT_LEN;

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
        let to = to.as_millis();
        let Some(segments) = self.layers.segments() else { return Ok(()) };
        let from = from.as_millis().max(segments.oldest_readable_ms()).max(0);
        let mut next = (from <= to).then(|| segments.number(from));
        let (mut lower, mut upper) =
            (std::mem::take(&mut self.key_bytes), std::mem::take(&mut self.upper_bytes));
        lower.clear();
        lower.extend_from_slice(&[0; SEGMENT_LEN]);
        write_key(&*self.key_serde, key, &mut lower, self.layers.name())?;
        let key_end = lower.len();
        upper.clear();
        upper.extend_from_slice(&lower);
        key_schema::append_suffix(&mut lower, from, 0);
        key_schema::append_suffix(&mut upper, to, i32::MAX);
        self.layers.sort();
        while let Some(number) = next
            && let Some(number) = self.layers.segments().and_then(|it| it.next_from(number, to))
        {
            for bound in [&mut lower, &mut upper] {
                bound[..SEGMENT_LEN].copy_from_slice(&number.to_be_bytes());
            }
            self.layers.visit(&lower, &upper, |bytes, value| {
                // Longer keys that begin with this one lie between its times.
                let start =
                    key_schema::split(bytes).filter(|(found, _)| **found == lower[SEGMENT_LEN..key_end]);
                if let Some((_, start)) = start.filter(|(_, start)| (from..=to).contains(start)) {
                    visit(Timestamp::from_millis(start), value);
                }
            })?;
            next = number.checked_add(1);
        }
        (self.key_bytes, self.upper_bytes) = (lower, upper);
        Ok(())
    }
}
