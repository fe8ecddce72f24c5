//~ `Total` has no default serde, so its bytes on a topic or in a store are not known
//~ every such method has a `_with` variant
use streams_dsl::prelude::*;

#[derive(Clone)]
struct Total(i64);

fn main() {
    let builder = StreamsBuilder::new();
    let fares = builder.stream::<String, i64>("fares");
    let _totals = fares.group_by_key().aggregate(|| Total(0), |_, fare, total| Total(total.0 + fare));
}
