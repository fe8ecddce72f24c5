//! The client's side of SCRAM (RFC 5802, RFC 7677): the password is proved, not sent, and the broker proves that it knows it.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use super::security::ScramMechanism;

/// Without channel binding: the header `n,,` in base64.
const CHANNEL: &str = "c=biws";
const NONCE_BYTES: usize = 24;
/// What Kafka's brokers take at least, and what costs a client too much.
const ITERATIONS_MIN: u32 = 4_096;
const ITERATIONS_MAX: u32 = 1_000_000;

/// An exchange under way.
pub(super) struct ScramExchange {
    mechanism: ScramMechanism,
    password: String,
    nonce: String,
    first_bare: String,
}

/// What the broker's last message must hold.
pub(super) struct Expected(Vec<u8>);

impl ScramExchange {
    /// Begins an exchange; answers the first message as well.
    pub(super) fn begin(
        mechanism: ScramMechanism,
        username: &str,
        password: &str,
    ) -> Result<(Self, String), String> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).map_err(|_| "the system has no random numbers".to_owned())?;
        Ok(Self::with_nonce(mechanism, username, password, STANDARD.encode(nonce)))
    }

    fn with_nonce(
        mechanism: ScramMechanism,
        username: &str,
        password: &str,
        nonce: String,
    ) -> (Self, String) {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={username},r={nonce}");
        let first = format!("n,,{first_bare}");
        (ScramExchange { mechanism, password: password.to_owned(), nonce, first_bare }, first)
    }

    /// Answers the broker's challenge with the proof.
    pub(super) fn prove(self, challenge: &str) -> Result<(String, Expected), String> {
        let field =
            |name: char| challenge.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let missing = |name: char| format!("the challenge has no `{name}`");
        let nonce = field('r').ok_or_else(|| missing('r'))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("the challenge is for another exchange".to_owned());
        }
        let salt =
            STANDARD.decode(field('s').ok_or_else(|| missing('s'))?).map_err(|error| error.to_string())?;
        let iterations = field('i').and_then(|text| text.parse::<u32>().ok()).ok_or_else(|| missing('i'))?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(format!(
                "{iterations} iterations are not within {ITERATIONS_MIN} and {ITERATIONS_MAX}"
            ));
        }
        let iterations = NonZeroU32::new(iterations).ok_or_else(|| missing('i'))?;
        let (hash, derive, sign) = match self.mechanism {
            ScramMechanism::Sha256 => (&digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256),
            ScramMechanism::Sha512 => (&digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512),
        };
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(derive, iterations, &salt, self.password.as_bytes(), &mut salted);
        let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(sign, key), text).as_ref().to_vec();
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(hash, &client_key);
        let last_bare = format!("{CHANNEL},r={nonce}");
        let signed = format!("{},{challenge},{last_bare}", self.first_bare);
        let signature = mac(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
        let server_key = mac(&salted, b"Server Key");
        let expected = Expected(mac(&server_key, signed.as_bytes()));
        Ok((format!("{last_bare},p={}", STANDARD.encode(proof)), expected))
    }
}

impl Expected {
    /// Whether the broker knows the password too.
    pub(super) fn check(&self, last: &str) -> Result<(), String> {
        if let Some(error) = last.strip_prefix("e=") {
            return Err(error.to_owned());
        }
        let signature = last.strip_prefix("v=").and_then(|text| text.split(',').next());
        match signature.and_then(|text| STANDARD.decode(text).ok()) {
            Some(signature) if signature == self.0 => Ok(()),
            _ => Err("the broker does not know the password: it may be another one's".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3.
    #[test]
    fn the_proof_is_that_of_the_rfc() {
        let (exchange, first) = ScramExchange::with_nonce(
            ScramMechanism::Sha256,
            "user",
            "pencil",
            "rOprNGfwEbeRWgbNEkqO".to_owned(),
        );
        assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, expected) = exchange.prove(challenge).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        expected.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(expected.check("v=AAAA").is_err() && expected.check("e=invalid-proof").is_err());
    }

    #[test]
    fn a_challenge_of_another_exchange_or_of_few_iterations_is_refused() {
        let exchange = || ScramExchange::with_nonce(ScramMechanism::Sha512, "a,b", "c", "mine".to_owned()).0;
        for challenge in
            ["r=other1,s=AAAA,i=4096", "r=mine,s=AAAA,i=4096", "r=mine1,s=AAAA,i=1", "r=mine1,i=4096", ""]
        {
            assert!(exchange().prove(challenge).is_err(), "{challenge}");
        }
    }
}
