//! What is kept of a password: SCRAM credentials (RFC 5802, RFC 7677). The password cannot be had back from them.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;

/// The fewest rounds that are accepted; Kafka's number as well.
pub(crate) const MIN_ITERATIONS: u32 = 4096;
/// The most rounds that are accepted, so that checking a password cannot be made arbitrarily slow.
pub(crate) const MAX_ITERATIONS: u32 = 16_384;

/// A hash function that SCRAM is used with, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ScramMechanism {
    Sha256 = 1,
    Sha512 = 2,
}

impl ScramMechanism {
    /// Both.
    pub(crate) const ALL: [ScramMechanism; 2] = [ScramMechanism::Sha256, ScramMechanism::Sha512];

    /// The mechanism of a number of the protocol.
    pub(crate) fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| *mechanism as i8 == number)
    }

    /// The mechanism of SASL's name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// SASL's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// Bytes of a hash.
    pub(crate) fn hash_bytes(self) -> usize {
        match self {
            ScramMechanism::Sha256 => 32,
            ScramMechanism::Sha512 => 64,
        }
    }

    /// The keyed hash of a message.
    pub(super) fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramMechanism::Sha256 => hmac::HMAC_SHA256,
            ScramMechanism::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    /// The hash of bytes.
    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            ScramMechanism::Sha256 => &digest::SHA256,
            ScramMechanism::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    fn salt_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let algorithm = match self {
            ScramMechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramMechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = vec![0; self.hash_bytes()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

/// What the server needs to check that a client has the password, and to show that it knows it as well.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ScramCredential {
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramCredential {
    /// Keys do not belong in logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl ScramCredential {
    /// The credential of a password, with a new salt. Takes milliseconds by intention.
    pub(crate) fn of_password(mechanism: ScramMechanism, password: &str) -> Self {
        let salt: [u8; 24] = rand::random();
        let salted = mechanism.salt_password(password.as_bytes(), &salt, MIN_ITERATIONS);
        Self::of_salted_password(mechanism, salt.to_vec(), MIN_ITERATIONS, &salted)
    }

    /// The credential of a password that the client has salted.
    pub(crate) fn of_salted_password(
        mechanism: ScramMechanism,
        salt: Vec<u8>,
        iterations: u32,
        salted: &[u8],
    ) -> Self {
        let client_key = mechanism.sign(salted, b"Client Key");
        ScramCredential {
            salt,
            iterations,
            stored_key: mechanism.hash(&client_key),
            server_key: mechanism.sign(salted, b"Server Key"),
        }
    }

    /// Whether it is that password's. Takes milliseconds by intention, and as long for a wrong password as for the
    /// right one.
    pub(crate) fn is_of(&self, mechanism: ScramMechanism, password: &str) -> bool {
        let salted = mechanism.salt_password(password.as_bytes(), &self.salt, self.iterations);
        let client_key = mechanism.sign(&salted, b"Client Key");
        mechanism.hash(&client_key).ct_eq(&self.stored_key).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        for mechanism in ScramMechanism::ALL {
            let credential = ScramCredential::of_password(mechanism, "pencil");
            assert!(credential.is_of(mechanism, "pencil"));
            assert!(!credential.is_of(mechanism, "Pencil"));
            assert_ne!(credential, ScramCredential::of_password(mechanism, "pencil"), "salts differ");
            assert!(!format!("{credential:?}").contains("key"));
        }
    }
}
