//! The APIs: one file each, and the one table that registers them.
//!
//! To add an API: write `api/<name>.rs` with a unit struct that implements [`Api`], and name it in
//! [`ApiTable::registered`]. Versions, decoding, the answer to ApiVersions and the checks of the body's form follow.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_user_scram_credentials;
mod api_versions;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod outcome;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ResponseHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use crate::broker::Broker;
use crate::log::PartitionLog;
use crate::memory::MemoryPart;
use crate::protocol::{AnswerFrame, ErrorCode, RequestHeader, Shape};
use crate::security::{Access, Operation, Principal, Resource};
use crate::session::Session;

pub(crate) use sasl_authenticate::bare_token;

/// A future that can be stored and sent.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One API of the protocol.
pub(crate) trait Api: 'static {
    /// The request message; it names the response message and the API key.
    type Request: Request<Response: Send> + Default + Send;

    /// The lowest and the highest version that the handler serves.
    const VERSIONS: (i16, i16);

    /// How the request's body is built: see [`Shape`].
    const SHAPE: &'static str;

    /// Serves one request.
    fn handle(
        broker: Arc<Broker>,
        context: RequestContext,
        request: Self::Request,
    ) -> impl Future<Output = Reply<<Self::Request as Request>::Response>> + Send;

    /// Encodes an answer with length prefix and header.
    ///
    /// # Errors
    /// [`RequestFault::Unanswerable`] if the answer has something that the version cannot say.
    fn encode(
        version: i16,
        correlation_id: i32,
        response: &<Self::Request as Request>::Response,
    ) -> Result<AnswerFrame, RequestFault> {
        encode(Self::Request::KEY, version, correlation_id, response)
    }
}

/// What a handler may want to know about where a request came from.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The version in which the request came and the answer goes.
    pub(crate) version: i16,
    /// What the client calls itself; empty if it does not.
    pub(crate) client_id: StrBytes,
    /// The connection that the request came by.
    pub(crate) session: Arc<Session>,
    /// What the client may do.
    access: Access,
}

impl RequestContext {
    /// Whether the client may do that.
    pub(crate) fn allows(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.access.allows(operation, resource)
    }

    /// Whether the client may do that.
    ///
    /// # Errors
    /// The error code for the client if not.
    pub(crate) fn check(&self, operation: Operation, resource: Resource<'_>) -> Result<(), ErrorCode> {
        self.access.check(operation, resource)
    }

    /// What the client may do.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }
}

/// A handler's answer.
pub(crate) enum Reply<R> {
    /// Here it is.
    Now(R),
    /// Here it is, with the memory to be held until it is sent.
    Holding(R, Option<MemoryPart>),
    /// It comes when the future ends; the connection goes on with its next request meanwhile.
    Later(BoxFuture<R>),
    /// The client expects none (a produce request with `acks=0`).
    Nothing,
}

/// An encoded answer with its length prefix, or the promise of one.
pub(crate) enum Answer {
    /// Can be sent.
    Ready(AnswerFrame),
    /// Must be waited for.
    Pending(BoxFuture<Result<AnswerFrame, RequestFault>>),
    /// Nothing is to be sent.
    None,
}

/// A request that cannot be answered: the connection must be closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestFault {
    #[error("api key {key} version {version} is not served")]
    Unsupported { key: i16, version: i16 },
    #[error("request of api key {key} version {version} is malformed: {reason}")]
    Malformed { key: i16, version: i16, reason: String },
    #[error(
        "api key {key} version {version} is asked for before the client has logged in, or after its login expired"
    )]
    Unauthenticated { key: i16, version: i16 },
    #[error("login failed")]
    LoginFailed,
    #[error("answer of api key {key} version {version} cannot be encoded: {reason}")]
    Unanswerable { key: i16, version: i16, reason: String },
}

type Serve = fn(Arc<Broker>, RequestContext, RequestHeader, Bytes) -> BoxFuture<Result<Answer, RequestFault>>;

/// An API as the table knows it.
pub(crate) struct ApiEntry {
    pub(crate) key: i16,
    pub(crate) min_version: i16,
    pub(crate) max_version: i16,
    shape: Shape,
    flexible_from: i16,
    serve: Serve,
    /// The body of the default request in a version.
    #[cfg(test)]
    default_body: fn(i16) -> Bytes,
}

/// All APIs of the server, by key.
pub(crate) struct ApiTable {
    entries: HashMap<i16, ApiEntry>,
}

static TABLE: LazyLock<ApiTable> = LazyLock::new(ApiTable::registered);

impl ApiTable {
    /// The table of this program.
    pub(crate) fn get() -> &'static Self {
        &TABLE
    }

    /// The one place where APIs are registered.
    fn registered() -> Self {
        let entries = [
            ApiEntry::of::<api_versions::ApiVersions>(),
            ApiEntry::of::<alter_configs::AlterConfigs>(),
            ApiEntry::of::<create_partitions::CreatePartitions>(),
            ApiEntry::of::<create_topics::CreateTopics>(),
            ApiEntry::of::<delete_records::DeleteRecords>(),
            ApiEntry::of::<delete_topics::DeleteTopics>(),
            ApiEntry::of::<describe_cluster::DescribeCluster>(),
            ApiEntry::of::<describe_configs::DescribeConfigs>(),
            ApiEntry::of::<describe_log_dirs::DescribeLogDirs>(),
            ApiEntry::of::<describe_topic_partitions::DescribeTopicPartitions>(),
            ApiEntry::of::<fetch::Fetch>(),
            ApiEntry::of::<incremental_alter_configs::IncrementalAlterConfigs>(),
            ApiEntry::of::<init_producer_id::InitProducerId>(),
            ApiEntry::of::<list_offsets::ListOffsets>(),
            ApiEntry::of::<metadata::Metadata>(),
            ApiEntry::of::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
            ApiEntry::of::<produce::Produce>(),
            ApiEntry::of::<delete_groups::DeleteGroups>(),
            ApiEntry::of::<describe_groups::DescribeGroups>(),
            ApiEntry::of::<find_coordinator::FindCoordinator>(),
            ApiEntry::of::<heartbeat::Heartbeat>(),
            ApiEntry::of::<join_group::JoinGroup>(),
            ApiEntry::of::<leave_group::LeaveGroup>(),
            ApiEntry::of::<list_groups::ListGroups>(),
            ApiEntry::of::<offset_commit::OffsetCommit>(),
            ApiEntry::of::<offset_delete::OffsetDelete>(),
            ApiEntry::of::<offset_fetch::OffsetFetch>(),
            ApiEntry::of::<sync_group::SyncGroup>(),
            ApiEntry::of::<add_partitions_to_txn::AddPartitionsToTxn>(),
            ApiEntry::of::<add_offsets_to_txn::AddOffsetsToTxn>(),
            ApiEntry::of::<end_txn::EndTxn>(),
            ApiEntry::of::<txn_offset_commit::TxnOffsetCommit>(),
            ApiEntry::of::<describe_producers::DescribeProducers>(),
            ApiEntry::of::<describe_transactions::DescribeTransactions>(),
            ApiEntry::of::<list_transactions::ListTransactions>(),
            ApiEntry::of::<sasl_handshake::SaslHandshake>(),
            ApiEntry::of::<sasl_authenticate::SaslAuthenticate>(),
            ApiEntry::of::<describe_acls::DescribeAcls>(),
            ApiEntry::of::<create_acls::CreateAcls>(),
            ApiEntry::of::<delete_acls::DeleteAcls>(),
            ApiEntry::of::<describe_client_quotas::DescribeClientQuotas>(),
            ApiEntry::of::<describe_user_scram_credentials::DescribeUserScramCredentials>(),
            ApiEntry::of::<alter_user_scram_credentials::AlterUserScramCredentials>(),
        ];
        ApiTable { entries: entries.into_iter().map(|entry| (entry.key, entry)).collect() }
    }

    /// All entries by rising key.
    pub(crate) fn entries(&self) -> Vec<&ApiEntry> {
        let mut entries: Vec<_> = self.entries.values().collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        entries
    }

    /// Serves one frame.
    ///
    /// # Errors
    /// [`RequestFault`] if the frame is not a request that the server knows: close the connection.
    pub(crate) async fn serve(
        &self,
        broker: &Arc<Broker>,
        session: &Arc<Session>,
        mut frame: Bytes,
    ) -> Result<Answer, RequestFault> {
        let mut header = RequestHeader::decode(&mut frame).map_err(|error| RequestFault::Malformed {
            key: -1,
            version: -1,
            reason: error.to_string(),
        })?;
        let (key, version) = (header.api_key, header.api_version);
        let entry = self.entries.get(&key).ok_or(RequestFault::Unsupported { key, version })?;
        if !(entry.min_version..=entry.max_version).contains(&version) {
            if key == api_versions::KEY {
                return api_versions::unsupported_version(self, &header).map(Answer::Ready);
            }
            return Err(RequestFault::Unsupported { key, version });
        }
        let access = match session.access(|| broker.uptime()) {
            Some(access) => access.clone(),
            None if LOGIN_APIS.contains(&key) => Access::unlimited(Principal::anonymous()),
            None => return Err(RequestFault::Unauthenticated { key, version }),
        };
        let malformed = |reason: String| RequestFault::Malformed { key, version, reason };
        let flexible = version >= entry.flexible_from;
        if flexible {
            RequestHeader::skip_tagged_fields(&mut frame).map_err(|error| malformed(error.to_string()))?;
        }
        entry.shape.check(&frame, version, flexible).map_err(|error| malformed(error.to_string()))?;
        let client_id = header.client_id.take().unwrap_or_default();
        let context = RequestContext { version, client_id, session: Arc::clone(session), access };
        (entry.serve)(Arc::clone(broker), context, header, frame).await
    }
}

/// What is served before a client has logged in. None of these asks what the client may do.
const LOGIN_APIS: [i16; 3] = [api_versions::KEY, sasl_handshake::KEY, sasl_authenticate::KEY];

impl ApiEntry {
    fn of<A: Api>() -> Self {
        let (min_version, max_version) = A::VERSIONS;
        let flexible_from = (min_version..=max_version)
            .find(|version| A::Request::header_version(*version) >= 2)
            .unwrap_or(i16::MAX);
        ApiEntry {
            key: A::Request::KEY,
            min_version,
            max_version,
            shape: Shape::parse(A::SHAPE),
            flexible_from,
            serve: |broker, context, header, body| Box::pin(serve::<A>(broker, context, header, body)),
            #[cfg(test)]
            default_body: |version| {
                let mut body = BytesMut::new();
                A::Request::default().encode(&mut body, version).unwrap();
                body.freeze()
            },
        }
    }
}

async fn serve<A: Api>(
    broker: Arc<Broker>,
    context: RequestContext,
    header: RequestHeader,
    mut body: Bytes,
) -> Result<Answer, RequestFault> {
    let RequestHeader { api_key: key, api_version: version, correlation_id, .. } = header;
    let request = A::Request::decode(&mut body, version).map_err(|error| RequestFault::Malformed {
        key,
        version,
        reason: error.to_string(),
    })?;
    let span = tracing::debug_span!("request", key, version, correlation_id);
    tracing::trace!(parent: &span, "serve");
    Ok(match A::handle(broker, context, request).await {
        Reply::Now(response) => Answer::Ready(A::encode(version, correlation_id, &response)?),
        Reply::Holding(response, memory) => {
            Answer::Ready(A::encode(version, correlation_id, &response)?.holding(memory))
        }
        Reply::Later(response) => {
            Answer::Pending(Box::pin(async move { A::encode(version, correlation_id, &response.await) }))
        }
        Reply::Nothing => Answer::None,
    })
}

/// Encodes an answer: length prefix, header, body.
fn encode<R: Encodable + HeaderVersion>(
    key: i16,
    version: i16,
    correlation_id: i32,
    response: &R,
) -> Result<AnswerFrame, RequestFault> {
    let unanswerable = |reason: String| RequestFault::Unanswerable { key, version, reason };
    let header_version = R::header_version(version);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    let size =
        header.compute_size(header_version).and_then(|size| Ok(size + response.compute_size(version)?));
    let size = size.map_err(|error| unanswerable(error.to_string()))?;
    let mut frame = BytesMut::with_capacity(size + 4);
    let prefix = i32::try_from(size).map_err(|_| unanswerable(format!("{size} bytes are too many")))?;
    frame.put_i32(prefix);
    header
        .encode(&mut frame, header_version)
        .and_then(|()| response.encode(&mut frame, version))
        .map_err(|error| unanswerable(error.to_string()))?;
    debug_assert_eq!(frame.len(), size + 4, "computed and encoded size of api key {key} version {version}");
    Ok(AnswerFrame::whole(frame.freeze()))
}

/// Runs work that may block on a thread for it.
///
/// # Errors
/// An error code for the client if the work panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ErrorCode> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "blocking work panicked");
        ErrorCode::UnknownServerError
    })
}

/// Compares the leader epoch that a client knows with the log's; -1 stands for none.
///
/// # Errors
/// The error code for the client, which then asks for new metadata.
pub(crate) fn check_leader_epoch(log: &PartitionLog, known: i32) -> Result<(), ErrorCode> {
    match known.cmp(&log.leader_epoch()) {
        _ if known == -1 => Ok(()),
        std::cmp::Ordering::Less => Err(ErrorCode::FencedLeaderEpoch),
        std::cmp::Ordering::Greater => Err(ErrorCode::UnknownLeaderEpoch),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

#[cfg(test)]
mod tests;
