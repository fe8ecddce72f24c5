//! Bodies that have a shape: random requests that get past the first check, for the tests of what lies behind it.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{Field, Kind, Shape};

/// What strings and bytes are made of: names that mean something to the server under test, and others.
#[derive(Debug)]
pub(crate) struct Vocabulary<'a> {
    /// Names of topics, groups, transactions, settings and their values.
    pub(crate) words: &'a [&'a str],
    /// Record batches, group metadata and the like.
    pub(crate) blobs: &'a [Vec<u8>],
}

/// The longest random array.
const MAX_ELEMENTS: usize = 4;

impl Shape {
    /// A random body.
    pub(crate) fn generate(
        &self,
        version: i16,
        flexible: bool,
        vocabulary: &Vocabulary<'_>,
        random: &mut StdRng,
    ) -> Vec<u8> {
        let mut writer = Writer { version, flexible, vocabulary, random, out: Vec::new() };
        writer.fields(&self.fields);
        writer.out
    }
}

struct Writer<'a> {
    version: i16,
    flexible: bool,
    vocabulary: &'a Vocabulary<'a>,
    random: &'a mut StdRng,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field]) {
        for field in fields {
            if (field.versions.0..=field.versions.1).contains(&self.version) {
                self.kind(&field.kind);
            }
        }
        if self.flexible {
            self.tagged_fields();
        }
    }

    /// Mostly none; else fields of small numbers, as messages have them, with anything in them.
    fn tagged_fields(&mut self) {
        let count = if self.random.random_bool(0.05) { self.random.random_range(1..3) } else { 0 };
        self.varint(count);
        for tag in 0..count {
            self.varint(tag);
            let length = self.random.random_range(0..20);
            self.varint(length);
            for _ in 0..length {
                let byte = self.random.random();
                self.out.push(byte);
            }
        }
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Fixed(bytes) => self.number(*bytes),
            Kind::Struct(fields) => self.fields(fields),
            Kind::NullableStruct(_) if self.random.random_bool(0.5) => self.out.push(0xff),
            Kind::NullableStruct(fields) => {
                self.out.push(1);
                self.fields(fields);
            }
            Kind::String => {
                let word = self.vocabulary.words.choose(self.random).copied().unwrap_or_default();
                let word = if self.random.random_bool(0.05) { None } else { Some(word.as_bytes()) };
                if self.flexible {
                    self.length(word.map(<[u8]>::len));
                } else {
                    let length = word.map_or(-1, |word| word.len() as i16);
                    self.out.extend_from_slice(&length.to_be_bytes());
                }
                self.out.extend_from_slice(word.unwrap_or_default());
            }
            Kind::Bytes => {
                let blob = self.vocabulary.blobs.choose(self.random);
                let blob = if self.random.random_bool(0.05) { None } else { blob };
                self.length(blob.map(Vec::len));
                self.out.extend_from_slice(blob.map(Vec::as_slice).unwrap_or_default());
            }
            Kind::Array(element) => {
                let count = match self.random.random_range(0..10) {
                    0 => None,
                    1 => Some(0),
                    2 => Some(self.random.random_range(2..=MAX_ELEMENTS)),
                    _ => Some(1),
                };
                self.length(count);
                (0..count.unwrap_or(0)).for_each(|_| self.kind(element));
            }
        }
    }

    /// Small ones mostly, and the ends of the range.
    fn number(&mut self, bytes: usize) {
        let value: i64 = match self.random.random_range(0..10) {
            0 => -1,
            1 => i64::MAX >> (64 - 8 * bytes.clamp(1, 8)),
            2 => i64::MIN >> (64 - 8 * bytes.clamp(1, 8)),
            3 => self.random.random(),
            4..7 => 0,
            _ => self.random.random_range(1..5),
        };
        let wide = i128::from(value).to_be_bytes();
        self.out.extend_from_slice(&wide[16 - bytes.min(16)..]);
    }

    fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            self.varint(length.map_or(0, |length| length as u32 + 1));
        } else {
            let length = length.map_or(-1, |length| length as i32);
            self.out.extend_from_slice(&length.to_be_bytes());
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
