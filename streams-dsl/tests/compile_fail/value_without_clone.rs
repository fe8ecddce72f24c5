//~ `Ride` cannot flow through a stream
//~ add `#[derive(Clone)]`, or wrap it in `Arc`
use streams_dsl::prelude::*;

struct Ride;

fn main() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let _mapped = rides.map_values(|_| Ride);
}
