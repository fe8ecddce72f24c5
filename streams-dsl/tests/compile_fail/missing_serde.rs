//~ `Ride` has no default serde, so its bytes on a topic or in a store are not known
//~ derive(serde::Serialize, serde::Deserialize, DefaultSerde)
//~ wrap it, `AsJson<Ride>`
use streams_dsl::prelude::*;

#[derive(Clone)]
struct Ride;

fn main() {
    let builder = StreamsBuilder::new();
    let _rides = builder.stream::<String, Ride>("rides");
}
