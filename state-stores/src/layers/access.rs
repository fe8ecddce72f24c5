//! Access to one key: read, change in place, set.

use streams_core::state::{StoreError, StoreOperation};

use super::Layers;

impl<T: Clone> Layers<T> {
    /// Hands the value of a key to `read`.
    pub(crate) fn read<R>(
        &mut self,
        key: &[u8],
        read: impl FnOnce(Option<&T>) -> R,
    ) -> Result<R, StoreError> {
        let begun = self.begun();
        let answer = self.read_through(key, read);
        self.ended(
            begun,
            if self.place.prefix_len() > 0 { StoreOperation::Fetch } else { StoreOperation::Get },
        );
        answer
    }

    /// Lets `change` alter the value of a key in place.
    pub(crate) fn update<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Option<T>) -> R,
    ) -> Result<R, StoreError> {
        let begun = self.begun();
        let answer = self.update_through(key, change);
        self.ended(begun, StoreOperation::Put);
        answer
    }

    /// Sets the value of a key, or deletes it; says whether the store took it, which it does not where the key's
    /// segment is dropped already.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<T>) -> Result<bool, StoreError> {
        let (begun, deletes) = (self.begun(), value.is_none());
        let taken = self.put_through(key, value);
        self.ended(begun, if deletes { StoreOperation::Delete } else { StoreOperation::Put });
        taken
    }

    fn read_through<R>(&mut self, key: &[u8], read: impl FnOnce(Option<&T>) -> R) -> Result<R, StoreError> {
        if let Some(place) = self.cache.find(key) {
            return Ok(read(self.cache.value(place)));
        }
        let (value, bytes) = self.load(key)?;
        let answer = read(value.as_ref());
        if self.cache.limit() > 0 {
            self.cache.insert(key, value, bytes);
        }
        Ok(answer)
    }

    fn update_through<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Option<T>) -> R,
    ) -> Result<R, StoreError> {
        self.touch(key);
        let place = match self.cache.find(key) {
            Some(place) => place,
            None => {
                let (mut value, bytes) = self.load(key)?;
                if self.cache.limit() == 0 {
                    let answer = change(&mut value);
                    self.write(key, value.as_ref())?;
                    return Ok(answer);
                }
                self.cache.insert(key, value, bytes)
            }
        };
        if self.caching() {
            return Ok(change(self.cache.change(place, self.timestamp, &self.headers, true)));
        }
        let mut value = self.cache.entry_mut(place).value.take();
        let answer = change(&mut value);
        match self.write(key, value.as_ref()) {
            Ok(present) => self.cache.entry_mut(place).value = value.filter(|_| present),
            Err(error) => {
                self.cache.remove(place);
                return Err(error);
            }
        }
        Ok(answer)
    }

    fn put_through(&mut self, key: &[u8], value: Option<T>) -> Result<bool, StoreError> {
        let live = self.touch(key);
        if self.caching() {
            let (place, known) = match self.cache.find(key) {
                Some(place) => (place, true),
                None => (self.cache.insert(key, None, 0), false),
            };
            *self.cache.change(place, self.timestamp, &self.headers, known) = value;
            return Ok(live);
        }
        let present = self.write(key, value.as_ref())?;
        let value = value.filter(|_| present);
        match self.cache.find(key) {
            Some(place) if live => self.cache.entry_mut(place).value = value,
            Some(place) => self.cache.remove(place),
            None if live && self.cache.limit() > 0 => {
                let bytes = self.value_bytes.len();
                self.cache.insert(key, value, bytes);
            }
            None => {}
        }
        Ok(live)
    }
}
