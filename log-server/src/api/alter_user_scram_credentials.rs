//! AlterUserScramCredentials (key 51), version 0: adds, changes and deletes users.
//!
//! The client sends salted passwords, of which only keys are kept; they are on the disk before the answer. Users of the
//! configuration cannot be changed (error 93). Left out: nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext, blocking};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{
    CredentialChange, MAX_ITERATIONS, MIN_ITERATIONS, Operation, Resource, ScramCredential, ScramMechanism,
};
use crate::topics::Refusal;

/// The longest salt that is kept.
const MAX_SALT_BYTES: usize = 1024;
/// The longest name of a user.
const MAX_NAME_BYTES: usize = 1024;

/// The handler.
pub(crate) struct AlterUserScramCredentials;

type Change = (String, ScramMechanism, CredentialChange);

impl Api for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "[(s 1)] [(s 1 4 b b)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: AlterUserScramCredentialsRequest,
    ) -> Reply<AlterUserScramCredentialsResponse> {
        let deletions = request.deletions.into_iter().map(|deletion| {
            let mechanism = mechanism(deletion.mechanism);
            (deletion.name.to_string(), mechanism.map(|mechanism| (mechanism, CredentialChange::Delete)))
        });
        let upsertions =
            request.upsertions.into_iter().map(|upsertion| (upsertion.name.to_string(), set(&upsertion)));
        let wanted: Vec<(String, Result<_, Refusal>)> = deletions.chain(upsertions).collect();
        let permission = context.check(Operation::Alter, Resource::Cluster);
        let mut outcomes: BTreeMap<String, Result<(), Refusal>> = BTreeMap::new();
        let (mut changes, mut places) = (Vec::<Change>::new(), BTreeSet::new());
        for (user, change) in wanted {
            let outcome = outcomes.entry(user.clone()).or_insert(Ok(()));
            let refusal = match (permission, change) {
                (Err(code), _) => (code, String::new()),
                (Ok(()), Err(refusal)) => refusal,
                (Ok(()), Ok((mechanism, change))) => {
                    if places.insert((user.clone(), mechanism)) {
                        changes.push((user, mechanism, change));
                        continue;
                    }
                    let reason = "A user credential cannot be altered twice in the same request";
                    (ErrorCode::DuplicateResource, reason.to_owned())
                }
            };
            *outcome = Err(refusal);
        }
        // Users of whom one change is refused stay as they are.
        changes.retain(|(user, ..)| outcomes.get(user).is_some_and(Result::is_ok));
        if !changes.is_empty() {
            let users = Arc::clone(broker.users());
            match blocking(move || users.change(changes)).await {
                Ok(changed) => outcomes.extend(changed),
                Err(code) => outcomes.values_mut().for_each(|outcome| *outcome = Err((code, String::new()))),
            }
        }
        let results = outcomes.into_iter().map(answer).collect();
        Reply::Now(AlterUserScramCredentialsResponse::default().with_results(results))
    }
}

fn mechanism(number: i8) -> Result<ScramMechanism, Refusal> {
    ScramMechanism::from_number(number)
        .ok_or_else(|| (ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism".to_owned()))
}

fn set(upsertion: &ScramCredentialUpsertion) -> Result<(ScramMechanism, CredentialChange), Refusal> {
    let unacceptable = |reason: String| Err((ErrorCode::UnacceptableCredential, reason));
    let mechanism = mechanism(upsertion.mechanism)?;
    if upsertion.name.is_empty() || upsertion.name.len() > MAX_NAME_BYTES {
        return unacceptable("Username must not be empty".to_owned());
    }
    let iterations = u32::try_from(upsertion.iterations).unwrap_or(0);
    if iterations < MIN_ITERATIONS {
        return unacceptable("Too few iterations".to_owned());
    }
    if iterations > MAX_ITERATIONS {
        return unacceptable("Too many iterations".to_owned());
    }
    if upsertion.salt.is_empty() || upsertion.salt.len() > MAX_SALT_BYTES {
        return unacceptable("The salt must have between 1 and 1024 bytes".to_owned());
    }
    if upsertion.salted_password.len() != mechanism.hash_bytes() {
        return unacceptable(format!("The salted password must have {} bytes", mechanism.hash_bytes()));
    }
    let salt = upsertion.salt.to_vec();
    let credential =
        ScramCredential::of_salted_password(mechanism, salt, iterations, &upsertion.salted_password);
    Ok((mechanism, CredentialChange::Set(credential)))
}

fn answer((user, outcome): (String, Result<(), Refusal>)) -> AlterUserScramCredentialsResult {
    let result = AlterUserScramCredentialsResult::default().with_user(StrBytes::from_string(user));
    match outcome {
        Ok(()) => result,
        Err((code, reason)) => {
            result.with_error_code(code.code()).with_error_message(Some(StrBytes::from_string(reason)))
        }
    }
}
