//! DescribeUserScramCredentials (key 50), version 0: the users, their mechanisms and rounds; never salts or keys.
//!
//! Users of the configuration are shown as well. Left out: nothing.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Reply, RequestContext};
use crate::broker::Broker;
use crate::protocol::ErrorCode;
use crate::security::{Operation, Resource, ScramMechanism};

/// The handler.
pub(crate) struct DescribeUserScramCredentials;

impl Api for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const VERSIONS: (i16, i16) = (0, 0);
    const SHAPE: &'static str = "[(s)]";

    async fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: DescribeUserScramCredentialsRequest,
    ) -> Reply<DescribeUserScramCredentialsResponse> {
        let response = DescribeUserScramCredentialsResponse::default();
        if let Err(code) = context.check(Operation::Describe, Resource::Cluster) {
            return Reply::Now(response.with_error_code(code.code()));
        }
        let known = broker.users().describe();
        let wanted: Vec<String> = match request.users.filter(|users| !users.is_empty()) {
            None => known.keys().cloned().collect(),
            Some(users) => users.into_iter().map(|user| user.name.to_string()).collect(),
        };
        let mut seen = HashSet::new();
        let repeated: HashSet<String> =
            wanted.iter().filter(|user| !seen.insert((*user).clone())).cloned().collect();
        let result = |user: &String| {
            let result =
                DescribeUserScramCredentialsResult::default().with_user(StrBytes::from_string(user.clone()));
            let refused = |code: ErrorCode, reason: String| {
                let reason = Some(StrBytes::from_string(reason));
                result.clone().with_error_code(code.code()).with_error_message(reason)
            };
            match known.get(user) {
                _ if repeated.contains(user) => refused(
                    ErrorCode::DuplicateResource,
                    format!(
                        "Cannot describe SCRAM credentials for the same user twice in a single request: {user}"
                    ),
                ),
                None => refused(
                    ErrorCode::ResourceNotFound,
                    format!("Attempt to describe a user credential that does not exist: {user}"),
                ),
                Some(infos) => result.clone().with_credential_infos(infos.iter().map(info).collect()),
            }
        };
        let mut answered = HashSet::new();
        let results = wanted.iter().filter(|user| answered.insert(*user)).map(result).collect();
        Reply::Now(response.with_results(results))
    }
}

fn info((mechanism, iterations): &(ScramMechanism, u32)) -> CredentialInfo {
    CredentialInfo::default()
        .with_mechanism(*mechanism as i8)
        .with_iterations(i32::try_from(*iterations).unwrap_or(i32::MAX))
}
