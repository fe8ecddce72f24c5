//! How windowed keys are written to topics.

use std::time::Duration;

use streams_core::duration_millis;
use streams_core::serdes::{DefaultSerde, Serde, SerdeError};

use crate::windowed::{Window, Windowed};

/// The bytes of a window's start, or of its end.
const TIME_LEN: usize = 8;

/// Keys of time windows (tumbling, hopping, sliding) as Kafka's `TimeWindowedSerde` writes them to topics: the key's
/// bytes, then the window's start. The end is not written, so reading takes the windows' size.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeWindowed<S> {
    inner: S,
    size_ms: Option<i64>,
}

impl<S> TimeWindowed<S> {
    /// The serde of keys in windows of this size.
    pub fn of_size(inner: S, size: Duration) -> Self {
        TimeWindowed { inner, size_ms: Some(duration_millis(size)) }
    }

    /// A serde that writes only.
    pub fn writing(inner: S) -> Self {
        TimeWindowed { inner, size_ms: None }
    }
}

impl<K, S: Serde<K>> Serde<Windowed<K>> for TimeWindowed<S> {
    fn serialize(&self, key: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.inner.serialize(&key.key, out)?;
        out.extend_from_slice(&key.window.start.as_millis().to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let Some(size_ms) = self.size_ms else {
            let remedy =
                "the windows' size is not known: read the topic by `TimeWindowed::of_size(serde, size)`";
            return Err(SerdeError::invalid::<Windowed<K>>(remedy));
        };
        let (key, [start]) = split::<K, 1>(bytes)?;
        let key = self.inner.deserialize(key)?;
        Ok(Windowed::new(key, Window::new(start, start.saturating_add(size_ms))))
    }

    fn partition_suffix(&self) -> usize {
        TIME_LEN
    }
}

/// Keys of session windows as Kafka's `SessionWindowedSerde` writes them: the key's bytes, the end, the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionWindowed<S>(pub S);

impl<K, S: Serde<K>> Serde<Windowed<K>> for SessionWindowed<S> {
    fn serialize(&self, key: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.0.serialize(&key.key, out)?;
        out.extend_from_slice(&key.window.end.as_millis().to_be_bytes());
        out.extend_from_slice(&key.window.start.as_millis().to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let (key, [end, start]) = split::<K, 2>(bytes)?;
        Ok(Windowed::new(self.0.deserialize(key)?, Window::new(start, end)))
    }

    fn partition_suffix(&self) -> usize {
        2 * TIME_LEN
    }
}

/// The serde of time windows; without the windows' size it writes only. Streams of a windowed table carry one that
/// knows the size.
impl<K: DefaultSerde> DefaultSerde for Windowed<K> {
    type Serde = TimeWindowed<K::Serde>;
}

/// A key's bytes and the times behind them.
fn split<K, const TIMES: usize>(bytes: &[u8]) -> Result<(&[u8], [i64; TIMES]), SerdeError> {
    let too_short = || SerdeError::WrongLength {
        type_name: std::any::type_name::<Windowed<K>>(),
        expected: TIMES * TIME_LEN,
        actual: bytes.len(),
    };
    let key_len = bytes.len().checked_sub(TIMES * TIME_LEN).ok_or_else(too_short)?;
    let (key, times) = bytes.split_at(key_len);
    let mut read = [0; TIMES];
    for (time, bytes) in read.iter_mut().zip(times.chunks_exact(TIME_LEN)) {
        *time = i64::from_be_bytes(bytes.try_into().map_err(|_| too_short())?);
    }
    Ok((key, read))
}

#[cfg(test)]
mod tests {
    use streams_core::serdes::Utf8;

    use super::*;

    #[test]
    fn windowed_keys_come_back_as_they_were() {
        let key = Windowed::new("zone".to_owned(), Window::new(5_000, 15_000));
        let mut bytes = Vec::new();
        let serde = TimeWindowed::of_size(Utf8, Duration::from_secs(10));
        serde.serialize(&key, &mut bytes).unwrap();
        assert_eq!(bytes, [&b"zone"[..], &5_000i64.to_be_bytes()].concat());
        assert_eq!(serde.deserialize(&bytes).unwrap(), key);
        let unknown = Serde::<Windowed<String>>::deserialize(&TimeWindowed::writing(Utf8), &bytes);
        assert!(unknown.unwrap_err().to_string().contains("TimeWindowed::of_size"));

        let mut bytes = Vec::new();
        SessionWindowed(Utf8).serialize(&key, &mut bytes).unwrap();
        assert_eq!(bytes, [&b"zone"[..], &15_000i64.to_be_bytes(), &5_000i64.to_be_bytes()].concat());
        assert_eq!(SessionWindowed(Utf8).deserialize(&bytes).unwrap(), key);
        assert!(Serde::<Windowed<String>>::deserialize(&SessionWindowed(Utf8), b"short").is_err());
    }
}
