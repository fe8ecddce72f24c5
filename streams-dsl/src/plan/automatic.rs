//! Names that nobody gave: they hold a number that changes when the topology does (KIP-1111).

use streams_core::topology::{TopologyBuilder, TopologyFault};

/// What automatic names of stores and topics begin with.
const PREFIXES: [&str; 3] = ["KSTREAM-", "KTABLE-", "COGROUPKSTREAM-"];
/// What stands before the number in the name of a table's store, behind the topic's or operator's name.
const STORE: &str = "STATE-STORE-";
const DIGITS: usize = 10;

/// Notes every store and topic with an automatic name as a fault.
pub(super) fn refuse(builder: &mut TopologyBuilder) {
    let store = |name: &str| TopologyFault::AutomaticName {
        resource: "state store",
        name: name.to_owned(),
        remedy: "give it a name by `Materialized::named(..)`, `StreamJoined` or `Suppressed`, or name its join",
    };
    let topic = |name: &str| TopologyFault::AutomaticName {
        resource: "topic",
        name: name.to_owned(),
        remedy: "say `.named(..)` behind the grouping, join or repartition that it belongs to",
    };
    let stores = builder.store_names().filter(|name| is_automatic(name)).map(store);
    let topics = builder.internal_topic_names().filter(|name| is_automatic(name)).map(topic);
    let faults: Vec<_> = stores.chain(topics).collect();
    for fault in faults {
        builder.fault(fault);
    }
}

/// Whether a name is `KSTREAM-…-0000000007` or `…STATE-STORE-0000000007`, alone or with a part behind it.
fn is_automatic(name: &str) -> bool {
    let mut end = 0;
    name.split('-').any(|part| {
        let start = end;
        end = start + part.len() + 1;
        let is_number = part.len() == DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
        let before = name.get(..start).unwrap_or_default();
        is_number && (before.ends_with(STORE) || PREFIXES.iter().any(|prefix| before.starts_with(prefix)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_gave_are_automatic() {
        for automatic in [
            "KSTREAM-AGGREGATE-STATE-STORE-0000000002",
            "rides-STATE-STORE-0000000000",
            "KSTREAM-KEY-SELECT-0000000001-repartition",
            "KSTREAM-JOINTHIS-0000000004-store",
            "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic",
            "COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000004-repartition",
        ] {
            assert!(is_automatic(automatic), "{automatic}");
        }
        for given in ["counts", "by-zone-repartition", "orders-0000000001", "KSTREAM-1", "", "0000000001"] {
            assert!(!is_automatic(given), "{given}");
        }
    }
}
