//! Reading and writing of small binary fields. Nothing is set aside for a length before its bytes are seen.

/// Bytes that no member of ours has written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(in crate::membership) struct CodecError {
    /// What was wrong.
    pub(super) what: &'static str,
    /// Where, from the begin of the bytes.
    pub(super) at: usize,
}

/// Reads fields from the front of a slice.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    pub(super) fn error(&self, what: &'static str) -> CodecError {
        CodecError { what, at: self.length - self.rest.len() }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| self.error("the bytes end too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Whether everything is read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn i16(&mut self) -> Result<i16, CodecError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, CodecError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Kafka's array length; null counts as empty. Each element takes a byte at least, which bounds it.
    pub(super) fn array_length(&mut self) -> Result<usize, CodecError> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.bounded(length)
    }

    /// Kafka's string: a 16-bit length, -1 for null.
    pub(super) fn kafka_string(&mut self) -> Result<Option<String>, CodecError> {
        match usize::try_from(self.i16()?) {
            Ok(length) => self.utf8(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Kafka's bytes: a 32-bit length, -1 for null, which counts as empty.
    pub(super) fn kafka_bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = usize::try_from(self.i32()?).unwrap_or(0);
        self.take(length)
    }

    /// Unsigned LEB128, as Kafka's flexible fields use it.
    pub(super) fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("a number has too many digits"))
    }

    pub(super) fn varint_u32(&mut self) -> Result<u32, CodecError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.error("a number is too large"))
    }

    /// A count of elements that take a byte each at least.
    pub(super) fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        self.bounded(count)
    }

    pub(super) fn string(&mut self) -> Result<String, CodecError> {
        let length = self.count()?;
        self.utf8(length)
    }

    /// A string that may be absent: its length plus one, 0 for absent.
    pub(super) fn optional_string(&mut self) -> Result<Option<String>, CodecError> {
        match self.varint()? {
            0 => Ok(None),
            length => self.utf8(usize::try_from(length - 1).unwrap_or(usize::MAX)).map(Some),
        }
    }

    fn utf8(&mut self, length: usize) -> Result<String, CodecError> {
        let error = self.error("text is not UTF-8");
        String::from_utf8(self.take(length)?.to_vec()).map_err(|_| error)
    }

    fn bounded(&self, count: usize) -> Result<usize, CodecError> {
        if count > self.rest.len() {
            return Err(self.error("more elements are announced than bytes are left"));
        }
        Ok(count)
    }
}

/// Appends fields to a vector.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Kafka's array length. Lists of ours are far shorter than the type allows.
    pub(super) fn array_length(&mut self, length: usize) {
        self.i32(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// Kafka's string; what exceeds its 32,767 bytes is cut off.
    pub(super) fn kafka_string(&mut self, text: &str) {
        let text = cut_to(text, i16::MAX as usize);
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn kafka_bytes(&mut self, bytes: &[u8]) {
        self.array_length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.u8(value as u8);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }

    pub(super) fn string(&mut self, text: &str) {
        self.count(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn optional_string(&mut self, text: Option<&str>) {
        match text {
            None => self.u8(0),
            Some(text) => {
                self.count(text.len() + 1);
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// As much of `text` as fits into `limit` bytes.
fn cut_to(text: &str, limit: usize) -> &str {
    let limit = limit.min(text.len());
    let end = (0..=limit).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    &text[..end]
}
