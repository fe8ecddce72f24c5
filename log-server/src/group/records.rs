//! The records of `__consumer_offsets`, in Apache Kafka's own schema, so that its tools can read them.
//!
//! A key begins with its version, which is its kind as well: 0 and 1 a committed offset, 2 a group's members.
//! Values begin with a version of their own. Written are the versions that Apache Kafka 2.3 to 4.3 write; older
//! ones are read too. Source: `OffsetCommitKey.json`, `OffsetCommitValue.json`, `GroupMetadataKey.json` and
//! `GroupMetadataValue.json` of Apache Kafka's group coordinator.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::classic::ClassicGroup;
use super::member::{Member, Protocol};
use super::offsets::CommittedOffset;
use crate::moment::Moment;
use crate::protocol::fields::{Fields, RecordError, put_bytes, put_nullable_string, put_string};

/// Key version of a committed offset; 0, the version before, has the same layout.
const OFFSET_KEY: i16 = 1;
/// Key version of a group's members.
const GROUP_KEY: i16 = 2;
/// Value version of a committed offset: without the expiry that version 1 had.
const OFFSET_VALUE: i16 = 3;
/// Value version of a group's members: the last one without tagged fields.
const GROUP_VALUE: i16 = 3;

/// What a record of `__consumer_offsets` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// One partition's committed offset.
    Offset {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A group's members.
    Group {
        /// The group.
        group: String,
    },
    /// A kind that this coordinator does not keep (KIP-848, KIP-932 and KIP-1071 groups), by its version.
    Foreign(i16),
}

/// A group's members as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    /// Empty when no member ever joined.
    pub(crate) protocol_type: String,
    /// The generation.
    pub(crate) generation: i32,
    /// The protocol in use.
    pub(crate) protocol: Option<String>,
    /// The leader's member id.
    pub(crate) leader: Option<String>,
    /// Wall clock of the last change of state; none in records before version 2.
    pub(crate) state_since_ms: Option<i64>,
    /// The members, none in an empty group.
    pub(crate) members: Vec<StoredMember>,
}

/// One member as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredMember {
    /// The member id.
    pub(crate) id: String,
    /// The static member's name.
    pub(crate) instance_id: Option<String>,
    /// The client's own name.
    pub(crate) client_id: String,
    /// Where it connected from.
    pub(crate) client_host: String,
    /// How long a rebalance waits for it, in milliseconds.
    pub(crate) rebalance_timeout_ms: i32,
    /// How long it may be silent, in milliseconds.
    pub(crate) session_timeout_ms: i32,
    /// Its metadata for the protocol in use.
    pub(crate) subscription: Bytes,
    /// Its assignment.
    pub(crate) assignment: Bytes,
}

impl StoredMember {
    /// The member as it lives on after a restart.
    pub(crate) fn into_member(self, protocol: Option<&str>, now: Moment) -> Member {
        let session_timeout = Duration::from_millis(u64::try_from(self.session_timeout_ms).unwrap_or(0));
        let rebalance_timeout = Duration::from_millis(u64::try_from(self.rebalance_timeout_ms).unwrap_or(0));
        let protocols = protocol
            .map(|name| Protocol { name: name.to_owned(), metadata: self.subscription })
            .into_iter()
            .collect();
        Member {
            id: self.id,
            instance_id: self.instance_id,
            client_id: self.client_id,
            client_host: self.client_host,
            rebalance_timeout,
            session_timeout,
            protocols,
            assignment: self.assignment,
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            deadline: Some(now.after(session_timeout)),
        }
    }
}

/// The key of a committed offset.
pub(crate) fn offset_key(group: &str, topic: &str, partition: i32) -> Bytes {
    let mut key = BytesMut::with_capacity(2 + 2 + group.len() + 2 + topic.len() + 4);
    key.put_i16(OFFSET_KEY);
    put_string(&mut key, group);
    put_string(&mut key, topic);
    key.put_i32(partition);
    key.freeze()
}

/// The value of a committed offset.
pub(crate) fn offset_value(offset: &CommittedOffset) -> Bytes {
    let mut value = BytesMut::with_capacity(2 + 8 + 4 + 2 + offset.metadata.len() + 8);
    value.put_i16(OFFSET_VALUE);
    value.put_i64(offset.offset);
    value.put_i32(offset.leader_epoch);
    put_string(&mut value, &offset.metadata);
    value.put_i64(offset.commit_ms);
    value.freeze()
}

/// The key of a group's members.
pub(crate) fn group_key(group: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(4 + group.len());
    key.put_i16(GROUP_KEY);
    put_string(&mut key, group);
    key.freeze()
}

/// The value of a group's members.
pub(crate) fn group_value(group: &ClassicGroup) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(GROUP_VALUE);
    put_string(&mut value, group.protocol_type().unwrap_or_default());
    value.put_i32(group.generation());
    put_nullable_string(&mut value, group.protocol());
    put_nullable_string(&mut value, group.leader());
    value.put_i64(group.state_since_ms());
    let members = group.members();
    value.put_i32(i32::try_from(members.len()).unwrap_or(i32::MAX));
    for member in members {
        put_string(&mut value, &member.id);
        put_nullable_string(&mut value, member.instance_id.as_deref());
        put_string(&mut value, &member.client_id);
        put_string(&mut value, &member.client_host);
        value.put_i32(millis(member.rebalance_timeout));
        value.put_i32(millis(member.session_timeout));
        put_bytes(&mut value, &member.metadata(group.protocol()));
        put_bytes(&mut value, &member.assignment);
    }
    value.freeze()
}

/// Reads a key.
///
/// # Errors
/// When the bytes end early or hold something that is no key.
pub(crate) fn read_key(bytes: &[u8]) -> Result<Key, RecordError> {
    let mut fields = Fields::new(bytes);
    match fields.i16()? {
        0 | OFFSET_KEY => {
            Ok(Key::Offset { group: fields.string()?, topic: fields.string()?, partition: fields.i32()? })
        }
        GROUP_KEY => Ok(Key::Group { group: fields.string()? }),
        kind => Ok(Key::Foreign(kind)),
    }
}

/// Reads a committed offset.
///
/// # Errors
/// When the bytes end early or have a version that is not known.
pub(crate) fn read_offset(bytes: &[u8]) -> Result<CommittedOffset, RecordError> {
    let mut fields = Fields::new(bytes);
    let version = fields.i16()?;
    if !(0..=OFFSET_VALUE).contains(&version) {
        return Err(RecordError::Version { kind: "offset", version });
    }
    Ok(CommittedOffset {
        offset: fields.i64()?,
        leader_epoch: if version >= 3 { fields.i32()? } else { -1 },
        metadata: fields.string()?,
        commit_ms: fields.i64()?,
    })
}

/// Reads a group's members.
///
/// # Errors
/// When the bytes end early or have a version that is not known.
pub(crate) fn read_group(bytes: &[u8]) -> Result<GroupMetadata, RecordError> {
    let mut fields = Fields::new(bytes);
    let version = fields.i16()?;
    if !(0..=GROUP_VALUE).contains(&version) {
        return Err(RecordError::Version { kind: "group", version });
    }
    let protocol_type = fields.string()?;
    let generation = fields.i32()?;
    let protocol = fields.nullable_string()?;
    let leader = fields.nullable_string()?;
    let state_since_ms = if version >= 2 { Some(fields.i64()?).filter(|ms| *ms >= 0) } else { None };
    let count = fields.i32()?;
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(read_member(&mut fields, version)?);
    }
    Ok(GroupMetadata { protocol_type, generation, protocol, leader, state_since_ms, members })
}

fn read_member(fields: &mut Fields<'_>, version: i16) -> Result<StoredMember, RecordError> {
    let id = fields.string()?;
    let instance_id = if version >= 3 { fields.nullable_string()? } else { None };
    let client_id = fields.string()?;
    let client_host = fields.string()?;
    let rebalance_timeout_ms = if version >= 1 { Some(fields.i32()?) } else { None };
    let session_timeout_ms = fields.i32()?;
    Ok(StoredMember {
        id,
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
        session_timeout_ms,
        subscription: fields.bytes()?,
        assignment: fields.bytes()?,
    })
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
