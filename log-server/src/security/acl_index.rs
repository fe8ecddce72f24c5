//! Entries, found by the resource that they apply to.

use std::collections::{BTreeSet, HashMap};

use super::acl::{AclBinding, Operation, PatternType, Permission, ResourceType};
use super::principal::Principal;

/// The name that stands for all names.
const EVERY_NAME: &str = "*";
/// The host that stands for all hosts.
const EVERY_HOST: &str = "*";

/// A set of entries that does not change: a change makes a new one.
#[derive(Debug, Default)]
pub(crate) struct AclIndex {
    entries: BTreeSet<AclBinding>,
    literal: HashMap<(ResourceType, String), Vec<AclBinding>>,
    prefixed: HashMap<(ResourceType, String), Vec<AclBinding>>,
    /// The lengths of all prefixes: a name's prefixes are looked up by these alone.
    prefix_lengths: BTreeSet<usize>,
}

/// What the entries say of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied,
    /// No entry speaks of the resource at all.
    Unmentioned,
}

/// Who wants to do something, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) host: &'a str,
}

impl AclIndex {
    /// An index of these entries.
    pub(crate) fn new(entries: BTreeSet<AclBinding>) -> Self {
        let mut index = AclIndex::default();
        for entry in &entries {
            let place = (entry.resource_type, entry.name.clone());
            match entry.pattern_type {
                PatternType::Literal => index.literal.entry(place).or_default().push(entry.clone()),
                PatternType::Prefixed => {
                    index.prefix_lengths.insert(entry.name.len());
                    index.prefixed.entry(place).or_default().push(entry.clone());
                }
            }
        }
        index.entries = entries;
        index
    }

    /// All entries.
    pub(crate) fn entries(&self) -> &BTreeSet<AclBinding> {
        &self.entries
    }

    /// Kafka's rule (`StandardAuthorizer`): a prohibition that applies decides, then a permission; otherwise the access
    /// is denied, unless no entry speaks of the resource.
    pub(crate) fn decide(
        &self,
        asker: Asker<'_>,
        operation: Operation,
        kind: ResourceType,
        name: &str,
    ) -> Verdict {
        let (mut mentioned, mut allowed) = (false, false);
        for entry in self.about(kind, name) {
            mentioned = true;
            if !applies(entry, asker) {
                continue;
            }
            match entry.permission {
                Permission::Deny if matches!(entry.operation, op if op == operation || op == Operation::All) =>
                {
                    return Verdict::Denied;
                }
                Permission::Allow => allowed |= entry.operation.implies(operation),
                Permission::Deny => {}
            }
        }
        match (allowed, mentioned) {
            (true, _) => Verdict::Allowed,
            (false, true) => Verdict::Denied,
            (false, false) => Verdict::Unmentioned,
        }
    }

    /// Whether there may be a resource of the kind for which the operation is allowed: a permission that no
    /// prohibition covers wholly.
    pub(crate) fn allows_some(&self, asker: Asker<'_>, operation: Operation, kind: ResourceType) -> bool {
        let of_kind =
            || self.entries.iter().filter(|entry| entry.resource_type == kind && applies(entry, asker));
        let denials: Vec<_> = of_kind()
            .filter(|entry| entry.permission == Permission::Deny)
            .filter(|entry| entry.operation == operation || entry.operation == Operation::All)
            .collect();
        of_kind()
            .filter(|entry| entry.permission == Permission::Allow && entry.operation.implies(operation))
            .any(|allowed| !denials.iter().any(|denied| covers(denied, allowed)))
    }

    /// The entries that apply to a resource, whoever they speak of.
    fn about<'a>(&'a self, kind: ResourceType, name: &'a str) -> impl Iterator<Item = &'a AclBinding> {
        let literal = [name, EVERY_NAME].into_iter().filter_map(move |name| {
            // The key owns its name, so looking it up takes a copy; names are short.
            self.literal.get(&(kind, name.to_owned()))
        });
        let prefixes = self.prefix_lengths.range(..=name.len()).filter_map(move |length| {
            let prefix = name.get(..*length)?;
            self.prefixed.get(&(kind, prefix.to_owned()))
        });
        literal.chain(prefixes).flatten()
    }
}

fn applies(entry: &AclBinding, asker: Asker<'_>) -> bool {
    asker.principal.is_meant_by(&entry.principal) && (entry.host == EVERY_HOST || entry.host == asker.host)
}

/// Whether each resource that `inner` applies to is one that `outer` applies to.
fn covers(outer: &AclBinding, inner: &AclBinding) -> bool {
    match (outer.pattern_type, inner.pattern_type) {
        (PatternType::Literal, _) if outer.name == EVERY_NAME => true,
        (PatternType::Literal, PatternType::Literal) => outer.name == inner.name,
        (PatternType::Literal, PatternType::Prefixed) => false,
        (PatternType::Prefixed, _) => inner.name.starts_with(&outer.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> AclBinding {
        // `allow alice read topic orders` or `deny * all topic ord* 10.0.0.1`
        let words: Vec<&str> = text.split(' ').collect();
        let permission = if words[0] == "allow" { Permission::Allow } else { Permission::Deny };
        let operation = match words[2] {
            "read" => Operation::Read,
            "write" => Operation::Write,
            "describe" => Operation::Describe,
            _ => Operation::All,
        };
        let (name, pattern_type) = match words[3].strip_suffix('*') {
            Some(prefix) if !prefix.is_empty() => (prefix, PatternType::Prefixed),
            _ => (words[3], PatternType::Literal),
        };
        AclBinding {
            resource_type: ResourceType::Topic,
            name: name.to_owned(),
            pattern_type,
            principal: format!("User:{}", words[1]),
            host: words.get(4).unwrap_or(&"*").to_string(),
            operation,
            permission,
        }
    }

    fn verdict(entries: &[&str], user: &str, operation: Operation, topic: &str) -> Verdict {
        let index = AclIndex::new(entries.iter().map(|text| entry(text)).collect());
        let principal = Principal::user(user);
        let asker = Asker { principal: &principal, host: "10.0.0.1" };
        index.decide(asker, operation, ResourceType::Topic, topic)
    }

    #[test]
    fn prohibitions_go_before_permissions() {
        let entries = ["allow alice all ord*", "deny alice write orders", "deny * read orders 10.0.0.9"];
        assert_eq!(verdict(&entries, "alice", Operation::Read, "orders"), Verdict::Allowed);
        assert_eq!(verdict(&entries, "alice", Operation::Write, "orders"), Verdict::Denied);
        assert_eq!(verdict(&entries, "alice", Operation::Write, "ordinary"), Verdict::Allowed);
        assert_eq!(verdict(&entries, "bob", Operation::Read, "orders"), Verdict::Denied);
        assert_eq!(verdict(&entries, "alice", Operation::Read, "other"), Verdict::Unmentioned);
    }

    #[test]
    fn who_may_read_may_describe_but_a_forbidden_read_forbids_nothing_else() {
        assert_eq!(verdict(&["allow alice read t"], "alice", Operation::Describe, "t"), Verdict::Allowed);
        assert_eq!(verdict(&["allow alice describe t"], "alice", Operation::Read, "t"), Verdict::Denied);
        let both = ["deny alice read t", "allow alice describe t"];
        assert_eq!(verdict(&both, "alice", Operation::Describe, "t"), Verdict::Allowed);
    }

    #[test]
    fn a_name_of_several_bytes_a_character_is_cut_nowhere() {
        assert_eq!(verdict(&["allow alice all gr*"], "alice", Operation::Read, "größe"), Verdict::Allowed);
        assert_eq!(verdict(&["allow alice all abc*"], "alice", Operation::Read, "ößü"), Verdict::Unmentioned);
    }

    #[test]
    fn some_topic_is_writable_unless_all_permissions_are_covered() {
        let some = |entries: &[&str]| {
            let index = AclIndex::new(entries.iter().map(|text| entry(text)).collect());
            let principal = Principal::user("alice");
            let asker = Asker { principal: &principal, host: "10.0.0.1" };
            index.allows_some(asker, Operation::Write, ResourceType::Topic)
        };
        assert!(!some(&[]));
        assert!(!some(&["allow bob write t"]));
        assert!(some(&["allow alice write t"]));
        assert!(!some(&["allow alice write t", "deny alice all *"]));
        assert!(!some(&["allow alice write topic*", "deny * write top*"]));
        assert!(some(&["allow alice write top*", "deny * write topic*"]));
    }
}
