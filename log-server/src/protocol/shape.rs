//! Shapes: a walk over a request's bytes before they are decoded.
//!
//! `kafka-protocol` reserves memory for as many elements as an array claims to have, so that a frame of a few
//! bytes could ask for gigabytes and end the process. A [`Shape`] says in a few characters how a request is
//! built; walking it proves that each length and each count is covered by bytes that are really there.
//!
//! The text: a digit is that many fixed bytes, `s` a string, `b` bytes, `[x]` an array of one of those,
//! `[( … )]` an array of structs, `?( … )` a nullable struct. A range before a token (`4+:`, `8-10:`, `-3:`)
//! limits it to those versions. Strings, bytes and arrays may be null. In flexible versions lengths are
//! varints and each struct ends with tagged fields, which the walk skips.

#[cfg(test)]
pub(crate) mod generated;

/// How many array elements and tagged fields one request may have in all. Decoded they take up to some hundred
/// bytes each, many times what they take in the frame.
const MAX_ELEMENTS: usize = 200_000;

/// How a request's body is built.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    fields: Vec<Field>,
}

/// A body that is cut short, or whose lengths do not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("request body does not have the form of its api version")]
pub(crate) struct ShapeError;

#[derive(Debug, Clone)]
struct Field {
    versions: (i16, i16),
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Fixed(usize),
    String,
    Bytes,
    Array(Box<Kind>),
    NullableStruct(Vec<Field>),
    Struct(Vec<Field>),
}

impl Shape {
    /// Reads the text form, see the module's description.
    ///
    /// # Panics
    /// If `text` is malformed. Shapes are constants of the program: each is read by the test of the API table.
    pub(crate) fn parse(text: &str) -> Self {
        let mut rest = text;
        let fields = parse_fields(&mut rest);
        assert!(rest.is_empty(), "shape {text:?} has the unread rest {rest:?}");
        Shape { fields }
    }

    /// Walks `body` and returns how many bytes the request takes.
    pub(crate) fn check(&self, body: &[u8], version: i16, flexible: bool) -> Result<usize, ShapeError> {
        let mut walk = Walk { rest: body, version, flexible, elements_left: MAX_ELEMENTS };
        walk.fields(&self.fields)?;
        Ok(body.len() - walk.rest.len())
    }
}

fn parse_fields(rest: &mut &str) -> Vec<Field> {
    let mut fields = Vec::new();
    loop {
        *rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with(')') {
            return fields;
        }
        let versions = parse_versions(rest);
        fields.push(Field { versions, kind: parse_kind(rest) });
    }
}

fn parse_versions(rest: &mut &str) -> (i16, i16) {
    let range_end = rest
        .find(':')
        .filter(|end| rest[..*end].chars().all(|char| char.is_ascii_digit() || char == '-' || char == '+'));
    let Some(end) = range_end else { return (0, i16::MAX) };
    let range = &rest[..end];
    let number = |text: &str, otherwise| if text.is_empty() { otherwise } else { text.parse().unwrap_or(0) };
    let versions = match range.split_once('-') {
        Some((from, to)) => (number(from, 0), number(to, i16::MAX)),
        None => match range.strip_suffix('+') {
            Some(from) => (number(from, 0), i16::MAX),
            None => (number(range, 0), number(range, 0)),
        },
    };
    *rest = &rest[end + 1..];
    versions
}

fn parse_kind(rest: &mut &str) -> Kind {
    let first = rest.chars().next().unwrap_or(' ');
    *rest = &rest[first.len_utf8().min(rest.len())..];
    match first {
        's' => Kind::String,
        'b' => Kind::Bytes,
        '(' => {
            let fields = parse_fields(rest);
            expect_char(rest, ')');
            Kind::Struct(fields)
        }
        '?' => {
            expect_char(rest, '(');
            let fields = parse_fields(rest);
            expect_char(rest, ')');
            Kind::NullableStruct(fields)
        }
        '[' => {
            let element = parse_kind(rest);
            expect_char(rest, ']');
            Kind::Array(Box::new(element))
        }
        digits if digits.is_ascii_digit() => {
            let more = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
            let number = format!("{digits}{}", &rest[..more]);
            *rest = &rest[more..];
            Kind::Fixed(number.parse().unwrap_or(0))
        }
        other => panic!("shape has an unknown token {other:?} before {rest:?}"),
    }
}

fn expect_char(rest: &mut &str, expected: char) {
    *rest = rest.trim_start();
    assert!(rest.starts_with(expected), "shape lacks {expected:?} before {rest:?}");
    *rest = &rest[expected.len_utf8()..];
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    /// What remains of [`MAX_ELEMENTS`].
    elements_left: usize,
}

impl<'a> Walk<'a> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), ShapeError> {
        for field in fields {
            if (field.versions.0..=field.versions.1).contains(&self.version) {
                self.kind(&field.kind)?;
            }
        }
        if self.flexible {
            for _ in 0..self.varint()? {
                self.count_elements(1)?;
                self.varint()?;
                let length = self.varint()? as usize;
                self.skip(length)?;
            }
        }
        Ok(())
    }

    fn kind(&mut self, kind: &Kind) -> Result<(), ShapeError> {
        match kind {
            Kind::Fixed(bytes) => self.skip(*bytes),
            Kind::Struct(fields) => self.fields(fields),
            Kind::NullableStruct(fields) => match self.take(1)?[0] {
                0xff => Ok(()),
                _ => self.fields(fields),
            },
            Kind::String if !self.flexible => {
                let bytes = self.take(2)?;
                self.skip_nullable(i64::from(i16::from_be_bytes([bytes[0], bytes[1]])))
            }
            Kind::String | Kind::Bytes => {
                let length = self.length()?;
                self.skip_nullable(length)
            }
            Kind::Array(element) => {
                let count = self.length()?;
                // Each element takes a byte at least, so the count is bounded by what is left.
                if count > self.rest.len() as i64 || count < -1 {
                    return Err(ShapeError);
                }
                self.count_elements(usize::try_from(count).unwrap_or(0))?;
                match **element {
                    Kind::Fixed(bytes) if count > 0 => {
                        self.skip((count as usize).checked_mul(bytes).ok_or(ShapeError)?)
                    }
                    _ => (0..count).try_for_each(|_| self.kind(element)),
                }
            }
        }
    }

    fn count_elements(&mut self, count: usize) -> Result<(), ShapeError> {
        self.elements_left = self.elements_left.checked_sub(count).ok_or(ShapeError)?;
        Ok(())
    }

    /// A length of bytes or of an array; -1 is null.
    fn length(&mut self) -> Result<i64, ShapeError> {
        if self.flexible {
            return Ok(i64::from(self.varint()?) - 1);
        }
        let bytes = self.take(4)?;
        Ok(i64::from(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
    }

    fn skip_nullable(&mut self, length: i64) -> Result<(), ShapeError> {
        match length {
            -1 => Ok(()),
            length => self.skip(usize::try_from(length).map_err(|_| ShapeError)?),
        }
    }

    fn skip(&mut self, bytes: usize) -> Result<(), ShapeError> {
        self.take(bytes).map(|_| ())
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ShapeError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(ShapeError)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u32, ShapeError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ShapeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_what_is_there() {
        let shape = Shape::parse("2 4+:1 [(s [4])] b");
        let body = [0, 1, 0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(shape.check(&body, 3, false), Ok(body.len()));
        assert_eq!(shape.check(&body, 4, false), Err(ShapeError));
        for cut in 0..body.len() {
            assert_eq!(shape.check(&body[..cut], 3, false), Err(ShapeError), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_counts_without_bytes() {
        let shape = Shape::parse("[(s)]");
        assert_eq!(shape.check(&[0x7f, 0xff, 0xff, 0xff, 0, 0], 0, false), Err(ShapeError));
        assert_eq!(shape.check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], 0, true), Err(ShapeError));
        assert_eq!(shape.check(&[0xff, 0xff, 0xff, 0xfe], 0, false), Err(ShapeError));
    }

    #[test]
    fn skips_tagged_fields_in_flexible_versions() {
        let shape = Shape::parse("[(s)] ?(s 4)");
        assert_eq!(shape.check(&[2, 2, b'a', 1, 0, 2, 7, 7, 0xff, 0], 0, true), Ok(10));
    }
}
