//! Which entries a request means (`AclBindingFilter`).

use super::acl::{AclBinding, Operation, PatternType, Permission, ResourceType};

/// The number that stands for any value of an enum.
const ANY: i8 = 1;
/// The pattern type that stands for all entries that apply to a name.
const MATCH: i8 = 2;

/// A condition on entries; what is `None` holds for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AclFilter {
    resource_type: Option<ResourceType>,
    name: Option<String>,
    pattern: PatternFilter,
    principal: Option<String>,
    host: Option<String>,
    operation: Option<Operation>,
    permission: Option<Permission>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PatternFilter {
    Any,
    /// Entries that apply to the name: the name itself, all names, or a beginning of it.
    Match,
    Only(PatternType),
}

/// The numbers of a filter as a request has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterNumbers {
    pub(crate) resource_type: i8,
    pub(crate) pattern_type: i8,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl AclFilter {
    /// The filter of a request.
    ///
    /// # Errors
    /// A sentence for the client, if a number is unknown.
    pub(crate) fn new(
        numbers: FilterNumbers,
        name: Option<String>,
        principal: Option<String>,
        host: Option<String>,
    ) -> Result<Self, String> {
        let pattern = match numbers.pattern_type {
            ANY => PatternFilter::Any,
            MATCH => PatternFilter::Match,
            number => PatternFilter::Only(known(PatternType::from_number(number), "pattern type", number)?),
        };
        Ok(AclFilter {
            resource_type: any_or(numbers.resource_type, ResourceType::from_number, "resource type")?,
            name,
            pattern,
            principal,
            host,
            operation: any_or(numbers.operation, Operation::from_number, "operation")?,
            permission: any_or(numbers.permission, Permission::from_number, "permission type")?,
        })
    }

    /// Whether the entry is meant.
    pub(crate) fn matches(&self, acl: &AclBinding) -> bool {
        fn holds<T: PartialEq>(wanted: &Option<T>, actual: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == actual)
        }
        holds(&self.resource_type, &acl.resource_type)
            && self.matches_name(acl)
            && holds(&self.principal, &acl.principal)
            && holds(&self.host, &acl.host)
            && holds(&self.operation, &acl.operation)
            && holds(&self.permission, &acl.permission)
    }

    fn matches_name(&self, acl: &AclBinding) -> bool {
        let is_kind = match self.pattern {
            PatternFilter::Only(kind) => kind == acl.pattern_type,
            PatternFilter::Any | PatternFilter::Match => true,
        };
        let Some(name) = &self.name else { return is_kind };
        is_kind
            && match (self.pattern, acl.pattern_type) {
                (PatternFilter::Match, PatternType::Literal) => *name == acl.name || acl.name == "*",
                (PatternFilter::Match, PatternType::Prefixed) => name.starts_with(&acl.name),
                _ => *name == acl.name,
            }
    }
}

fn any_or<T>(number: i8, parse: fn(i8) -> Option<T>, what: &str) -> Result<Option<T>, String> {
    if number == ANY { Ok(None) } else { known(parse(number), what, number).map(Some) }
}

fn known<T>(value: Option<T>, what: &str, number: i8) -> Result<T, String> {
    value.ok_or_else(|| format!("The filter has the unknown {what} {number}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str, pattern_type: PatternType) -> AclBinding {
        AclBinding {
            resource_type: ResourceType::Topic,
            name: name.to_owned(),
            pattern_type,
            principal: "User:alice".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Read,
            permission: Permission::Allow,
        }
    }

    fn filter(pattern_type: i8, name: Option<&str>) -> AclFilter {
        let numbers = FilterNumbers { resource_type: ANY, pattern_type, operation: ANY, permission: ANY };
        AclFilter::new(numbers, name.map(str::to_owned), None, None).unwrap()
    }

    #[test]
    fn names_are_meant_as_their_pattern_says() {
        let entries =
            [("orders", PatternType::Literal), ("*", PatternType::Literal), ("ord", PatternType::Prefixed)]
                .map(|(name, kind)| acl(name, kind));
        let matched = |filter: AclFilter| entries.each_ref().map(|entry| filter.matches(entry));
        assert_eq!(matched(filter(ANY, None)), [true, true, true]);
        assert_eq!(matched(filter(ANY, Some("orders"))), [true, false, false]);
        assert_eq!(matched(filter(MATCH, Some("orders"))), [true, true, true]);
        assert_eq!(matched(filter(MATCH, Some("other"))), [false, true, false]);
        assert_eq!(matched(filter(3, None)), [true, true, false]);
        assert_eq!(matched(filter(4, Some("ord"))), [false, false, true]);
    }

    #[test]
    fn unknown_numbers_are_refused() {
        let numbers = FilterNumbers { resource_type: 99, pattern_type: ANY, operation: ANY, permission: ANY };
        assert!(AclFilter::new(numbers, None, None, None).is_err());
    }
}
