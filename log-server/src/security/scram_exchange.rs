//! The server's side of a SCRAM exchange (RFC 5802, section 5): two messages of the client, two answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::sasl::SaslFailure;
use super::scram::{ScramCredential, ScramMechanism};

/// The longest nonce that a client may choose.
const MAX_NONCE_BYTES: usize = 256;

/// A client's first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// Who it wants to be.
    pub(crate) user: String,
    /// What stands before the message proper: whether the channel is bound, as whom to act.
    gs2_header: String,
    /// The message without that.
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads `n,,n=user,r=nonce`.
    ///
    /// # Errors
    /// [`SaslFailure`] if it is something else, asks for a bound channel, or to act as somebody else.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, SaslFailure> {
        let malformed = SaslFailure::Malformed("SCRAM's first message");
        let text = std::str::from_utf8(message).map_err(|_| malformed)?;
        let mut parts = text.splitn(3, ',');
        let (Some(binding), Some(act_as), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        if !matches!(binding, "n" | "y") {
            return Err(SaslFailure::Malformed("SCRAM's first message: channel binding is not offered"));
        }
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|part| part.strip_prefix("n=")).and_then(decode_name);
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let (Some(user), Some(nonce)) = (user, nonce) else { return Err(malformed) };
        if user.is_empty() || nonce.is_empty() || nonce.len() > MAX_NONCE_BYTES {
            return Err(malformed);
        }
        if !act_as.is_empty() && act_as.strip_prefix("a=").and_then(decode_name).as_ref() != Some(&user) {
            return Err(SaslFailure::ActsForAnother);
        }
        Ok(ClientFirst {
            user,
            gs2_header: format!("{binding},{act_as},"),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }
}

/// The name, in which a comma is `=2C` and an equals sign `=3D`; `None` if another escape stands there.
fn decode_name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        name.push_str(&rest[..at]);
        name.push(match rest.get(at..at + 3)? {
            "=2C" => ',',
            "=3D" => '=',
            _ => return None,
        });
        rest = &rest[at + 3..];
    }
    name.push_str(rest);
    Some(name)
}

/// An exchange that waits for the client's proof.
#[derive(Debug)]
pub(crate) struct Challenge {
    mechanism: ScramMechanism,
    first: ClientFirst,
    server_first: String,
    nonce: String,
    credential: ScramCredential,
}

impl Challenge {
    /// Answers the first message with salt, rounds and a nonce to which `server_nonce` is our part.
    pub(crate) fn new(
        mechanism: ScramMechanism,
        first: ClientFirst,
        credential: ScramCredential,
        server_nonce: &str,
    ) -> Self {
        let nonce = format!("{}{server_nonce}", first.nonce);
        let salt = STANDARD.encode(&credential.salt);
        let server_first = format!("r={nonce},s={salt},i={}", credential.iterations);
        Challenge { mechanism, first, server_first, nonce, credential }
    }

    /// The message for the client.
    pub(crate) fn message(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's proof; gives the user and the message that proves the server's knowledge.
    ///
    /// # Errors
    /// [`SaslFailure`] if the message is malformed or the proof is wrong.
    pub(crate) fn finish(self, message: &[u8]) -> Result<(String, String), SaslFailure> {
        let malformed = SaslFailure::Malformed("SCRAM's final message");
        let text = std::str::from_utf8(message).map_err(|_| malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).ok_or(malformed)?;
        // The whole nonce, although older clients repeat their part of it: Apache Kafka refuses them since CVE-2024-56128.
        if binding != STANDARD.encode(&self.first.gs2_header) || nonce != self.nonce {
            return Err(malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| malformed)?;
        if proof.len() != self.mechanism.hash_bytes() {
            return Err(malformed);
        }
        let signed = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let signature = self.mechanism.sign(&self.credential.stored_key, signed.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(proof, byte)| proof ^ byte).collect();
        let is_right: bool = self.mechanism.hash(&client_key).ct_eq(&self.credential.stored_key).into();
        if !is_right {
            return Err(SaslFailure::WrongCredentials);
        }
        let server_signature = self.mechanism.sign(&self.credential.server_key, signed.as_bytes());
        Ok((self.first.user, format!("v={}", STANDARD.encode(server_signature))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    fn challenge(client_first: &str) -> Challenge {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let mut salted = vec![0; 32];
        ring::pbkdf2::derive(
            ring::pbkdf2::PBKDF2_HMAC_SHA256,
            std::num::NonZeroU32::new(4096).unwrap(),
            &salt,
            b"pencil",
            &mut salted,
        );
        let credential = ScramCredential::of_salted_password(ScramMechanism::Sha256, salt, 4096, &salted);
        let first = ClientFirst::parse(client_first.as_bytes()).unwrap();
        Challenge::new(ScramMechanism::Sha256, first, credential, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    }

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let challenge = challenge(FIRST);
        assert_eq!(
            challenge.message(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let (user, message) = challenge.finish(FINAL.as_bytes()).unwrap();
        assert_eq!((&*user, &*message), ("user", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn a_wrong_proof_nonce_or_binding_is_refused() {
        let wrong = [
            (FINAL.replace("p=dH", "p=dX"), SaslFailure::WrongCredentials),
            (FINAL.replace("biws", "eSws"), SaslFailure::Malformed("SCRAM's final message")),
            (FINAL.replace("hNlF$k0", "hNlF$k1"), SaslFailure::Malformed("SCRAM's final message")),
            (FINAL.replace("VQ=", "VQ"), SaslFailure::Malformed("SCRAM's final message")),
            ("".to_owned(), SaslFailure::Malformed("SCRAM's final message")),
        ];
        for (message, failure) in wrong {
            assert_eq!(challenge(FIRST).finish(message.as_bytes()), Err(failure), "{message}");
        }
    }

    #[test]
    fn first_messages() {
        let user = |text: &str| ClientFirst::parse(text.as_bytes()).map(|first| first.user);
        assert_eq!(user("n,,n=a=2Cb=3Dc,r=x,tokenauth=true"), Ok("a,b=c".to_owned()));
        assert_eq!(user("y,a=me,n=me,r=x"), Ok("me".to_owned()));
        assert_eq!(user("n,a=you,n=me,r=x"), Err(SaslFailure::ActsForAnother));
        for malformed in
            ["", "n,,", "p=tls-unique,,n=me,r=x", "n,,n=,r=x", "n,,n=a=2X,r=x", "n,,n=me,r=", "n,,r=x,n=me"]
        {
            assert!(user(malformed).is_err(), "{malformed}");
        }
    }
}
