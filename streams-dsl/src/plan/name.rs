//! Names that are known only when the last `.named(..)` has been said.

use std::sync::Arc;

use streams_core::topology::TopologyFault;

/// An operator: what one `.named(..)` names, be it one node or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OperatorId(u32);

/// The name of a node, topic or store that an operator brings.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    operator: OperatorId,
    suffix: String,
    generated: Arc<str>,
}

impl Name {
    /// The operator's own name, or the generated one.
    pub(crate) fn new(operator: OperatorId, generated: impl Into<Arc<str>>) -> Self {
        Name { operator, suffix: String::new(), generated: generated.into() }
    }

    /// The operator's name with a suffix, or the generated name as it is.
    pub(crate) fn suffixed(
        operator: OperatorId,
        suffix: impl Into<String>,
        generated: impl Into<Arc<str>>,
    ) -> Self {
        Name { operator, suffix: suffix.into(), generated: generated.into() }
    }

    /// The name that it has unless the operator is named.
    pub(crate) fn generated(&self) -> &str {
        &self.generated
    }

    /// The name, as far as it is known by now.
    pub(crate) fn resolve(&self, names: &Names) -> Arc<str> {
        match names.given(self.operator) {
            Some(given) => format!("{given}{}", self.suffix).into(),
            None => Arc::clone(&self.generated),
        }
    }
}

/// Which operators have been named, and how.
#[derive(Debug, Default)]
pub(crate) struct Names {
    given: Vec<Option<String>>,
}

impl Names {
    pub(super) fn operator(&mut self) -> OperatorId {
        self.given.push(None);
        OperatorId((self.given.len() - 1) as u32)
    }

    pub(super) fn set(&mut self, operator: OperatorId, name: String) -> Result<(), TopologyFault> {
        if !is_legal(&name) {
            return Err(TopologyFault::InvalidTopic { topic: name });
        }
        match &mut self.given[operator.0 as usize] {
            Some(first) => {
                let fault = format!("an operator is named twice, `{first}` and `{name}`: name it once");
                Err(TopologyFault::Other(fault))
            }
            unnamed => {
                *unnamed = Some(name);
                Ok(())
            }
        }
    }

    pub(super) fn is_named(&self, operator: OperatorId) -> bool {
        self.given(operator).is_some()
    }

    fn given(&self, operator: OperatorId) -> Option<&str> {
        self.given[operator.0 as usize].as_deref()
    }
}

/// Names become parts of topic names, so Kafka's rule for topics holds (`Named.validate`).
fn is_legal(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_given_last_reaches_every_part_of_its_operator() {
        let mut names = Names::default();
        let operator = names.operator();
        let sink = Name::suffixed(operator, "-sink", "KSTREAM-SINK-0000000003");
        assert_eq!(&*sink.resolve(&names), "KSTREAM-SINK-0000000003");
        names.set(operator, "by-zone".to_owned()).unwrap();
        assert_eq!(&*sink.resolve(&names), "by-zone-sink");
        assert!(names.set(operator, "again".to_owned()).unwrap_err().to_string().contains("named twice"));
        assert!(names.set(operator, "no spaces".to_owned()).is_err());
    }
}
