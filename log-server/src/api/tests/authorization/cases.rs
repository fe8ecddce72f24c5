//! A request of each API, with the operations that it needs.

use super::*;

pub(super) fn records(topic_id: uuid::Uuid) -> Vec<Case> {
    let fetch = |topic: fetch_request::FetchTopic| {
        let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1000);
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(1000)
            .with_topics(vec![topic.with_partitions(vec![partition])])
    };
    let fetched = |response: FetchResponse| response.responses[0].partitions[0].error_code;
    let produced = |response: ProduceResponse| response.responses[0].partition_responses[0].error_code;
    let epoch = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(name("t"));
    let epoch = epoch.with_partitions(vec![Default::default()]);
    let offsets = list_offsets_request::ListOffsetsTopic::default().with_name(name("t"));
    let offsets = offsets.with_partitions(vec![Default::default()]);
    vec![
        case(9, &[(Operation::Write, TOPIC)], produce("t", batch(1, None), -1), produced),
        case(
            9,
            &[(Operation::Write, TXN), (Operation::Write, TOPIC)],
            produce("t", batch(1, None), -1).with_transactional_id(Some(id())),
            produced,
        ),
        case(
            12,
            &[(Operation::Write, Resource::Topic("missing"))],
            produce("missing", batch(1, None), -1),
            produced,
        ),
        case(
            11,
            &[(Operation::Read, TOPIC)],
            fetch(fetch_request::FetchTopic::default().with_topic(name("t"))),
            fetched,
        ),
        case(
            13,
            &[(Operation::Read, TOPIC)],
            fetch(fetch_request::FetchTopic::default().with_topic_id(topic_id)),
            fetched,
        ),
        case(
            7,
            &[(Operation::Describe, TOPIC)],
            ListOffsetsRequest::default().with_topics(vec![offsets]),
            |response| response.topics[0].partitions[0].error_code,
        ),
        case(
            4,
            &[(Operation::Describe, TOPIC)],
            OffsetForLeaderEpochRequest::default().with_topics(vec![epoch]),
            |response| response.topics[0].partitions[0].error_code,
        ),
    ]
}

pub(super) fn metadata(topic_id: uuid::Uuid) -> Vec<Case> {
    let named = |topic: &str| metadata_request::MetadataRequestTopic::default().with_name(Some(name(topic)));
    let metadata = |topic| MetadataRequest::default().with_topics(Some(vec![topic]));
    let by_id = metadata_request::MetadataRequestTopic::default().with_topic_id(topic_id).with_name(None);
    let described = |response: MetadataResponse| response.topics[0].error_code;
    let new = Resource::Topic("new");
    let pages = describe_topic_partitions_request::TopicRequest::default().with_name(name("t"));
    vec![
        case(9, &[(Operation::Describe, TOPIC)], metadata(named("t")), described),
        case(12, &[(Operation::Describe, TOPIC)], metadata(by_id), described),
        case(
            9,
            &[(Operation::Describe, new), (Operation::Create, new)],
            metadata(named("new")).with_allow_auto_topic_creation(true),
            described,
        ),
        case(
            0,
            &[(Operation::Describe, TOPIC)],
            DescribeTopicPartitionsRequest::default()
                .with_topics(vec![pages])
                .with_response_partition_limit(10),
            |response| response.topics[0].error_code,
        ),
    ]
}

pub(super) fn topics() -> Vec<Case> {
    let creatable = create_topics_request::CreatableTopic::default()
        .with_name(name("new"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let creating = CreateTopicsRequest::default().with_topics(vec![creatable]).with_validate_only(true);
    let growing =
        create_partitions_request::CreatePartitionsTopic::default().with_name(name("t")).with_count(1);
    let deleting = delete_records_request::DeleteRecordsTopic::default().with_name(name("t"));
    let deleting = deleting.with_partitions(vec![Default::default()]);
    let producers = describe_producers_request::TopicRequest::default().with_name(name("t"));
    vec![
        case(7, &[(Operation::Create, Resource::Topic("new"))], creating.clone(), |response| {
            response.topics[0].error_code
        }),
        case(7, &[(Operation::Create, CLUSTER)], creating, |response| match response.topics[0].error_code {
            // What is lacking is named by the topic, whatever right would have allowed it.
            29 => 31,
            code => code,
        }),
        case(
            5,
            &[(Operation::Delete, Resource::Topic("gone"))],
            DeleteTopicsRequest::default().with_topic_names(vec![name("gone")]),
            |response| response.responses[0].error_code,
        ),
        case(
            3,
            &[(Operation::Alter, TOPIC)],
            CreatePartitionsRequest::default().with_topics(vec![growing]),
            |response| response.results[0].error_code,
        ),
        case(
            2,
            &[(Operation::Delete, TOPIC)],
            DeleteRecordsRequest::default().with_topics(vec![deleting]),
            |response| response.topics[0].partitions[0].error_code,
        ),
        case(
            0,
            &[(Operation::Read, TOPIC)],
            DescribeProducersRequest::default().with_topics(vec![producers.with_partition_indexes(vec![0])]),
            |response| response.topics[0].partitions[0].error_code,
        ),
    ]
}

pub(super) fn offsets() -> Vec<Case> {
    let commit_partition = offset_commit_request::OffsetCommitRequestPartition::default();
    let commit_topic = offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![commit_partition]);
    let fetch_topic = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0]);
    let fetch_topics = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0]);
    let fetch_group = offset_fetch_request::OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_topics(Some(vec![fetch_topics]));
    let delete_topic = offset_delete_request::OffsetDeleteRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![Default::default()]);
    vec![
        case(
            8,
            &[(Operation::Read, GROUP), (Operation::Read, TOPIC)],
            OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![commit_topic]),
            |response| response.topics[0].partitions[0].error_code,
        ),
        case(
            7,
            &[(Operation::Describe, GROUP), (Operation::Describe, TOPIC)],
            OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![fetch_topic])),
            |response| response.topics[0].partitions[0].error_code,
        ),
        case(
            8,
            &[(Operation::Describe, GROUP), (Operation::Describe, TOPIC)],
            OffsetFetchRequest::default().with_groups(vec![fetch_group]),
            |response| match &response.groups[0] {
                group if group.error_code != 0 => group.error_code,
                group => group.topics[0].partitions[0].error_code,
            },
        ),
        case(
            0,
            &[(Operation::Delete, GROUP), (Operation::Read, TOPIC)],
            OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![delete_topic]),
            |response| match response.error_code {
                // The group does not exist: only what is said of partitions counts then.
                0 => response.topics[0].partitions[0].error_code,
                code => code,
            },
        ),
    ]
}

pub(super) fn groups() -> Vec<Case> {
    let find = |key: &str, kind: i8| {
        FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text(key)])
    };
    let read = [(Operation::Read, GROUP)];
    vec![
        case(4, &[(Operation::Describe, GROUP)], find("g", 0), |response| {
            response.coordinators[0].error_code
        }),
        case(4, &[(Operation::Describe, TXN)], find("x", 1), |response| response.coordinators[0].error_code),
        case(
            3,
            &[(Operation::Describe, GROUP)],
            FindCoordinatorRequest::default().with_key(text("g")),
            |response| response.error_code,
        ),
        case(7, &read, JoinGroupRequest::default().with_group_id(group()), |response| response.error_code),
        case(5, &read, JoinGroupRequest::default().with_group_id(group()), |response| response.error_code),
        case(5, &read, SyncGroupRequest::default().with_group_id(group()), |response| response.error_code),
        case(4, &read, HeartbeatRequest::default().with_group_id(group()), |response| response.error_code),
        case(5, &read, LeaveGroupRequest::default().with_group_id(group()), |response| response.error_code),
        case(
            5,
            &[(Operation::Describe, GROUP)],
            DescribeGroupsRequest::default().with_groups(vec![group()]),
            |response| response.groups[0].error_code,
        ),
        case(
            2,
            &[(Operation::Delete, GROUP)],
            DeleteGroupsRequest::default().with_groups_names(vec![group()]),
            |response| response.results[0].error_code,
        ),
    ]
}

pub(super) fn transactions() -> Vec<Case> {
    let add_topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![0]);
    let commit_topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![Default::default()]);
    let write = (Operation::Write, TXN);
    vec![
        case(4, &[write], InitProducerIdRequest::default().with_transactional_id(Some(id())), |response| {
            response.error_code
        }),
        case(
            4,
            &[(Operation::IdempotentWrite, CLUSTER)],
            InitProducerIdRequest::default().with_transactional_id(None),
            |response| response.error_code,
        ),
        case(
            3,
            &[write, (Operation::Write, TOPIC)],
            AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id())
                .with_v3_and_below_topics(vec![add_topic]),
            |response| response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code,
        ),
        case(
            3,
            &[write, (Operation::Read, GROUP)],
            AddOffsetsToTxnRequest::default().with_transactional_id(id()).with_group_id(group()),
            |response| response.error_code,
        ),
        case(4, &[write], EndTxnRequest::default().with_transactional_id(id()), |response| {
            response.error_code
        }),
        case(
            3,
            &[write, (Operation::Read, GROUP), (Operation::Read, TOPIC)],
            TxnOffsetCommitRequest::default()
                .with_transactional_id(id())
                .with_group_id(group())
                .with_topics(vec![commit_topic]),
            |response| response.topics[0].partitions[0].error_code,
        ),
        case(
            0,
            &[(Operation::Describe, TXN)],
            DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]),
            |response| response.transaction_states[0].error_code,
        ),
    ]
}

pub(super) fn configurations() -> Vec<Case> {
    let describe = |kind: i8, resource: &str| {
        let resource = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(resource));
        DescribeConfigsRequest::default().with_resources(vec![resource])
    };
    let alter = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"));
    let incremental = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"));
    let described = |response: DescribeConfigsResponse| response.results[0].error_code;
    vec![
        case(4, &[(Operation::DescribeConfigs, TOPIC)], describe(2, "t"), described),
        case(4, &[(Operation::DescribeConfigs, CLUSTER)], describe(4, "1"), described),
        case(
            2,
            &[(Operation::AlterConfigs, TOPIC)],
            AlterConfigsRequest::default().with_resources(vec![alter]),
            |response| response.responses[0].error_code,
        ),
        case(
            1,
            &[(Operation::AlterConfigs, TOPIC)],
            IncrementalAlterConfigsRequest::default().with_resources(vec![incremental]),
            |response| response.responses[0].error_code,
        ),
        case(4, &[(Operation::Describe, CLUSTER)], DescribeLogDirsRequest::default(), |response| {
            response.error_code
        }),
    ]
}

pub(super) fn security() -> Vec<Case> {
    let creation = create_acls_request::AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_resource_pattern_type(3)
        .with_principal(text("User:bob"))
        .with_host(text("*"))
        .with_operation(3)
        .with_permission_type(3);
    let deletion = delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_principal_filter(Some(text("User:nobody")))
        .with_operation(1)
        .with_permission_type(1);
    let description = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let user = alter_user_scram_credentials_request::ScramCredentialDeletion::default()
        .with_name(text("nobody"))
        .with_mechanism(1);
    vec![
        case(3, &[(Operation::Describe, CLUSTER)], description, |response| response.error_code),
        case(
            3,
            &[(Operation::Alter, CLUSTER)],
            CreateAclsRequest::default().with_creations(vec![creation]),
            |response| response.results[0].error_code,
        ),
        case(
            3,
            &[(Operation::Alter, CLUSTER)],
            DeleteAclsRequest::default().with_filters(vec![deletion]),
            |response| response.filter_results[0].error_code,
        ),
        case(
            0,
            &[(Operation::Describe, CLUSTER)],
            DescribeUserScramCredentialsRequest::default(),
            |response| response.error_code,
        ),
        case(
            0,
            &[(Operation::Alter, CLUSTER)],
            AlterUserScramCredentialsRequest::default().with_deletions(vec![user]),
            |response| response.results[0].error_code,
        ),
        case(
            1,
            &[(Operation::DescribeConfigs, CLUSTER)],
            DescribeClientQuotasRequest::default(),
            |response| response.error_code,
        ),
    ]
}
