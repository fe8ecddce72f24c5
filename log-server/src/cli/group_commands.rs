//! `log-server groups`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use log_server::Error;

use super::remote::{Remote, Target, outcome_of};
use super::table;
use super::topic_commands::{name, offsets};

/// Asks for the offset after the last record; see [`EARLIEST`].
const LATEST: i64 = -1;
/// Asks for the first offset.
const EARLIEST: i64 = -2;

/// What can be done with groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups with their states.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show a group's state and members.
    Describe {
        group: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show how far a group is behind, by partition.
    Lag {
        group: String,
        #[command(flatten)]
        target: Target,
    },
    /// Set the offsets of a group that has no members.
    ResetOffsets {
        group: String,
        #[command(flatten)]
        target: Target,
        /// The topic whose offsets are set.
        #[arg(long, short)]
        topic: String,
        /// Only this partition; all if it is not said.
        #[arg(long, short)]
        partition: Option<i32>,
        /// Where to: `earliest`, `latest`, `time:MILLISECONDS` since 1970, `by:N` records further (or back, if N is
        /// negative), or an offset.
        #[arg(long, allow_hyphen_values = true)]
        to: String,
        /// Do it; without this it is only shown.
        #[arg(long)]
        execute: bool,
    },
    /// Delete a group that has no members, with its offsets.
    Delete {
        group: String,
        #[command(flatten)]
        target: Target,
    },
}

impl GroupCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`Error::Remote`] if the server is not there or refuses.
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        match self {
            GroupCommand::List { target } => list(&mut target.connect()?)?,
            GroupCommand::Describe { group, target } => describe(&mut target.connect()?, &group)?,
            GroupCommand::Lag { group, target } => lag(&mut target.connect()?, &group)?,
            GroupCommand::ResetOffsets { group, target, topic, partition, to, execute } => {
                let to = Position::parse(&to)?;
                reset(&mut target.connect()?, &group, (&topic, partition), to, execute)?;
            }
            GroupCommand::Delete { group, target } => delete(&mut target.connect()?, &group)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

fn list(remote: &mut Remote) -> Result<(), Error> {
    let response = remote.call(&ListGroupsRequest::default(), 4)?;
    remote.check(outcome_of("the list of groups", response.error_code, None))?;
    let mut rows: Vec<_> = response
        .groups
        .iter()
        .map(|group| {
            [group.group_id.to_string(), group.group_state.to_string(), group.protocol_type.to_string()]
        })
        .collect();
    rows.sort_unstable();
    table::print(["GROUP", "STATE", "PROTOCOL"], &rows);
    Ok(())
}

fn describe(remote: &mut Remote, group: &str) -> Result<(), Error> {
    let response = remote.call(&DescribeGroupsRequest::default().with_groups(vec![id(group)]), 5)?;
    for group in response.groups {
        remote.check(outcome_of(&format!("group {}", group.group_id.0), group.error_code, None))?;
        println!("state {}, protocol {}", group.group_state, group.protocol_data);
        let rows: Vec<_> = group
            .members
            .iter()
            .map(|member| {
                let instance = member.group_instance_id.as_deref().unwrap_or("-");
                [&*member.member_id, instance, &*member.client_id, &*member.client_host].map(str::to_owned)
            })
            .collect();
        table::print(["MEMBER", "INSTANCE", "CLIENT", "HOST"], &rows);
    }
    Ok(())
}

/// The committed offsets of a group, by topic and partition.
fn committed(remote: &mut Remote, group: &str) -> Result<BTreeMap<(String, i32), i64>, Error> {
    let wanted = OffsetFetchRequestGroup::default().with_group_id(id(group)).with_topics(None);
    let response = remote.call(&OffsetFetchRequest::default().with_groups(vec![wanted]), 8)?;
    let mut found = BTreeMap::new();
    for group in response.groups {
        remote.check(outcome_of(&format!("group {}", group.group_id.0), group.error_code, None))?;
        for topic in group.topics {
            for partition in topic.partitions {
                let subject = format!("{}-{}", topic.name.0, partition.partition_index);
                remote.check(outcome_of(&subject, partition.error_code, None))?;
                found.insert((topic.name.to_string(), partition.partition_index), partition.committed_offset);
            }
        }
    }
    Ok(found)
}

fn lag(remote: &mut Remote, group: &str) -> Result<(), Error> {
    let mut rows = Vec::new();
    let mut total = 0;
    for ((topic, partition), committed) in committed(remote, group)? {
        // A topic that was deleted has no end to be behind of.
        let end = offsets(remote, &topic, &[partition], LATEST).ok().and_then(|ends| ends.first().copied());
        let lag = end.map(|end| (end - committed).max(0));
        total += lag.unwrap_or(0);
        let shown = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        rows.push([topic, partition.to_string(), committed.to_string(), shown(end), shown(lag)]);
    }
    table::print(["TOPIC", "PARTITION", "COMMITTED", "END", "LAG"], &rows);
    println!("lag {total}");
    Ok(())
}

/// Where offsets are to be set.
#[derive(Debug, Clone, Copy)]
enum Position {
    /// At what ListOffsets answers for this time.
    Time(i64),
    At(i64),
    By(i64),
}

impl Position {
    fn parse(text: &str) -> Result<Self, Error> {
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| {
                Error::Config(format!("--to {text} is neither earliest, latest, time:N, by:N nor an offset"))
            })
        };
        match (text, text.split_once(':')) {
            ("earliest", _) => Ok(Position::Time(EARLIEST)),
            ("latest", _) => Ok(Position::Time(LATEST)),
            (_, Some(("time", time))) => number(time).map(|time| Position::Time(time.max(0))),
            (_, Some(("by", distance))) => number(distance).map(Position::By),
            (offset, _) => number(offset).map(Position::At),
        }
    }
}

fn reset(
    remote: &mut Remote,
    group: &str,
    (topic, partition): (&str, Option<i32>),
    to: Position,
    execute: bool,
) -> Result<(), Error> {
    let partitions = match partition {
        Some(partition) => vec![partition],
        None => partitions_of(remote, topic)?,
    };
    let present = committed(remote, group)?;
    let starts = offsets(remote, topic, &partitions, EARLIEST)?;
    let ends = offsets(remote, topic, &partitions, LATEST)?;
    let timed = match to {
        Position::Time(time) => offsets(remote, topic, &partitions, time)?,
        _ => Vec::new(),
    };
    let (mut rows, mut commits) = (Vec::new(), Vec::new());
    for (at, partition) in partitions.iter().enumerate() {
        let before = present.get(&(topic.to_owned(), *partition)).copied();
        let wanted = match to {
            // No record is as young as that: the end.
            Position::Time(_) => {
                if timed[at] < 0 {
                    ends[at]
                } else {
                    timed[at]
                }
            }
            Position::At(offset) => offset,
            Position::By(distance) => before.unwrap_or(starts[at]).saturating_add(distance),
        };
        let offset = wanted.clamp(starts[at], ends[at]);
        let shown = before.map_or("-".to_owned(), |offset| offset.to_string());
        rows.push([topic.to_owned(), partition.to_string(), shown, offset.to_string()]);
        commits.push(
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::new())),
        );
    }
    table::print(["TOPIC", "PARTITION", "BEFORE", "AFTER"], &rows);
    if !execute {
        println!("nothing has been changed; --execute does it");
        return Ok(());
    }
    let topics = vec![OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(commits)];
    let request = OffsetCommitRequest::default()
        .with_group_id(id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics);
    for partition in remote.call(&request, 8)?.topics.into_iter().flat_map(|topic| topic.partitions) {
        let subject = format!("{topic}-{} of group {group}", partition.partition_index);
        remote.check(outcome_of(&subject, partition.error_code, None))?;
    }
    println!("done");
    Ok(())
}

fn partitions_of(remote: &mut Remote, topic: &str) -> Result<Vec<i32>, Error> {
    let wanted = vec![MetadataRequestTopic::default().with_name(Some(name(topic)))];
    let request = MetadataRequest::default().with_topics(Some(wanted)).with_allow_auto_topic_creation(false);
    let mut partitions = Vec::new();
    for found in remote.call(&request, 9)?.topics {
        remote.check(outcome_of(&format!("topic {topic}"), found.error_code, None))?;
        partitions.extend(found.partitions.iter().map(|partition| partition.partition_index));
    }
    partitions.sort_unstable();
    Ok(partitions)
}

fn delete(remote: &mut Remote, group: &str) -> Result<(), Error> {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![id(group)]);
    for result in remote.call(&request, 2)?.results {
        remote.check(outcome_of(&format!("group {group}"), result.error_code, None))?;
    }
    println!("deleted {group}");
    Ok(())
}
