//! The subject of a certificate as text (RFC 2253), as Kafka names clients that show one.
//!
//! Certificates come here after rustls has verified them; this only walks to the subject (RFC 5280, section 4.1).

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// Text types of attributes: UTF8String, PrintableString, T61String, IA5String.
const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];

/// Attributes that RFC 2253 has a short name for.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// The subject of a DER certificate, for example `CN=app,OU=billing,O=example`; `None` if the bytes are no certificate.
pub(crate) fn subject_of(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        element(&mut fields)?;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        element(&mut fields)?;
    }
    let (mut names, _) = expect(fields, SEQUENCE)?;
    let mut parts = Vec::new();
    while !names.is_empty() {
        let (set, rest) = expect(names, SET)?;
        names = rest;
        parts.push(relative_name(set)?);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// A part of a name; usually it has one attribute, several are joined by `+`.
fn relative_name(mut set: &[u8]) -> Option<String> {
    let mut attributes = Vec::new();
    while !set.is_empty() {
        let (pair, rest) = expect(set, SEQUENCE)?;
        set = rest;
        let (id, mut value) = expect(pair, OBJECT_ID)?;
        let (kind, bytes) = element(&mut value)?;
        let name = NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
        attributes.push(match name.filter(|_| TEXTS.contains(&kind)) {
            Some(name) => format!("{name}={}", escape(&String::from_utf8_lossy(bytes))),
            None => format!("{}=#{:02x}{:02x}{}", dotted(id), kind, bytes.len().min(0x7f), hex(bytes)),
        });
    }
    Some(attributes.join("+"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        let at_edge = at == 0 || at + char.len_utf8() == text.len();
        if ",+\"\\<>;".contains(char) || (char == ' ' && at_edge) || (char == '#' && at == 0) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object id as numbers with dots.
fn dotted(id: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0u64;
    for byte in id {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// The content of the element at the front, which must have that tag, and what follows it.
fn expect(mut bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content) = element(&mut bytes)?;
    (found == tag).then_some((content, bytes))
}

/// Takes an element from the front: its tag and content.
fn element<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some((*tag, content))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in names {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_is_written_as_java_writes_it() {
        let names = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Inc."),
            (DnType::CommonName, "app"),
        ];
        assert_eq!(subject_of(&certificate(&names)).unwrap(), "CN=app,O=Example\\, Inc.,C=DE");
        let unnamed = [(DnType::CustomDnType(vec![2, 5, 4, 12]), "x")];
        assert_eq!(subject_of(&certificate(&unnamed)).unwrap(), "2.5.4.12=#0c0178");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = certificate(&[(DnType::CommonName, "app")]);
        for cut in 0..whole.len() {
            assert_eq!(subject_of(&whole[..cut]), None);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _ = subject_of(&damaged);
        }
    }
}
