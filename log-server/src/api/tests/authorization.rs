//! Which operations each API needs, and what a client is told that lacks one.

use std::collections::BTreeSet;

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request};

use super::every_version::{batch, create, name, produce, text};
use super::*;
use crate::config::LogServerConfig;
use crate::security::{AclBinding, AclFilter, FilterNumbers, PatternType, Permission, ResourceType};

mod cases;

/// An operation that an API needs, on which resource.
type Need = (Operation, Resource<'static>);

/// Sends the request of a case and gives the error code of its answer.
type Ask = Box<dyn Fn(Arc<Broker>, Arc<Session>) -> BoxFuture<i16>>;

struct Case {
    key: i16,
    what: String,
    needs: Vec<Need>,
    ask: Ask,
}

const TOPIC: Resource<'static> = Resource::Topic("t");
const GROUP: Resource<'static> = Resource::Group("g");
const TXN: Resource<'static> = Resource::TransactionalId("x");
const CLUSTER: Resource<'static> = Resource::Cluster;

fn case<R: Request + Clone + Send + Sync + 'static>(
    version: i16,
    needs: &[Need],
    request: R,
    code: fn(R::Response) -> i16,
) -> Case {
    let ask: Ask = Box::new(move |broker, session| {
        let frame = request_frame(&request, version, 7);
        Box::pin(async move {
            let mut frame = answer_on(&broker, &session, frame).await.unwrap().split_off(4);
            kafka_protocol::messages::ResponseHeader::decode(
                &mut frame,
                R::Response::header_version(version),
            )
            .unwrap();
            code(R::Response::decode(&mut frame, version).unwrap())
        })
    });
    let what = format!("{:?} version {version}", ApiKey::try_from(R::KEY).unwrap());
    Case { key: R::KEY, what, needs: needs.to_vec(), ask }
}

fn group() -> GroupId {
    GroupId(text("g"))
}

fn id() -> TransactionalId {
    TransactionalId(text("x"))
}

/// A broker with an authorizer and the topic `t`.
async fn secured() -> Arc<Broker> {
    let config = LogServerConfig::temporary().unwrap().fsync(FsyncPolicy::Never).authorizer(true);
    let broker = Broker::open(config).unwrap();
    create(&broker, "t", &[]).await;
    broker
}

fn everything() -> AclFilter {
    let any = FilterNumbers { resource_type: 1, pattern_type: 1, operation: 1, permission: 1 };
    AclFilter::new(any, None, None, None).unwrap()
}

/// Lets alice do exactly that.
fn grant(broker: &Broker, needs: &[Need]) {
    let authorizer = broker.authorizer().unwrap();
    authorizer.remove(&[everything()]).unwrap();
    let acl = |(operation, resource): &Need| AclBinding {
        resource_type: resource.kind(),
        name: resource.name().to_owned(),
        pattern_type: PatternType::Literal,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation: *operation,
        permission: Permission::Allow,
    };
    authorizer.add(needs.iter().map(acl).collect()).unwrap();
}

fn alice(broker: &Broker) -> Arc<Session> {
    Session::of_user(broker.access_of(Principal::user("alice"), [127, 0, 0, 1].into()))
}

/// What needs no permission: login, and what shows only that which the client may see.
const FREE: [i16; 6] = [
    ApiVersionsRequest::KEY,
    SaslHandshakeRequest::KEY,
    SaslAuthenticateRequest::KEY,
    DescribeClusterRequest::KEY,
    ListGroupsRequest::KEY,
    ListTransactionsRequest::KEY,
];

/// The codes by which a client learns that it may not.
const REFUSALS: [i16; 4] = [29, 30, 31, 53];

#[tokio::test]
async fn each_api_asks_for_each_of_its_operations() {
    let broker = secured().await;
    let session = alice(&broker);
    let topic_id = broker.topics().get("t").unwrap().id;
    let cases: Vec<Case> = [
        cases::records(topic_id),
        cases::metadata(topic_id),
        cases::topics(),
        cases::offsets(),
        cases::groups(),
        cases::transactions(),
        cases::configurations(),
        cases::security(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for case in &cases {
        for (missing, (operation, resource)) in case.needs.iter().enumerate() {
            let mut others = case.needs.clone();
            others.remove(missing);
            grant(&broker, &others);
            let code = (case.ask)(Arc::clone(&broker), Arc::clone(&session)).await;
            assert_eq!(code, resource.refusal().code(), "{} without {operation:?} {resource:?}", case.what);
        }
        grant(&broker, &case.needs);
        let code = (case.ask)(Arc::clone(&broker), Arc::clone(&session)).await;
        assert!(!REFUSALS.contains(&code), "{} with all it needs: {code}", case.what);
    }
    let tested: BTreeSet<i16> = cases.iter().map(|case| case.key).chain(FREE).collect();
    let served: BTreeSet<i16> = ApiTable::get().entries().iter().map(|entry| entry.key).collect();
    assert_eq!(tested, served, "each API has a case here");
}

#[tokio::test]
async fn what_a_client_may_not_see_is_hidden_when_it_asks_for_all() {
    let broker = secured().await;
    create(&broker, "secret", &[]).await;
    let session = alice(&broker);
    grant(&broker, &[(Operation::Read, TOPIC)]);
    let ask = async |frame: Bytes| answer_on(&broker, &session, frame).await.unwrap().split_off(8);
    let all = MetadataRequest::default().with_topics(None);
    let mut body = ask(request_frame(&all, 7, 7)).await;
    let response = MetadataResponse::decode(&mut body, 7).unwrap();
    let names: Vec<_> = response.topics.iter().map(|topic| topic.name.as_ref().unwrap().as_str()).collect();
    assert_eq!(names, ["t"]);
    let pages = DescribeTopicPartitionsRequest::default().with_response_partition_limit(100);
    let mut body = ask(request_frame(&pages, 0, 7)).await.split_off(1);
    let response = DescribeTopicPartitionsResponse::decode(&mut body, 0).unwrap();
    assert_eq!(response.topics.len(), 1);
    // Who may read may describe and nothing else.
    assert_eq!(response.topics[0].topic_authorized_operations, 1 << 3 | 1 << 8);
}

#[tokio::test]
async fn super_users_may_everything_and_without_authorizer_acls_are_refused() {
    let config = LogServerConfig::temporary().unwrap().authorizer(true).super_user("User:root");
    let broker = Broker::open(config).unwrap();
    let access = |user: &str| broker.access_of(Principal::user(user), [127, 0, 0, 1].into());
    assert!(access("root").allows(Operation::Alter, CLUSTER));
    assert!(!access("alice").allows(Operation::Describe, TOPIC));
    assert!(!access("alice").allows_some(Operation::Write, ResourceType::Topic));
    let open = test_broker();
    let mut body =
        answer(&open, request_frame(&DescribeAclsRequest::default(), 1, 7)).await.unwrap().split_off(8);
    assert_eq!(DescribeAclsResponse::decode(&mut body, 1).unwrap().error_code, 54);
}
