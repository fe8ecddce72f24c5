//~ a stream cannot be joined with `&KStream<String, i64>`
//~ other.within(JoinWindows::of(..))
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let fares = builder.stream::<String, i64>("fares");
    rides.join(&fares, |ride, fare| ride + fare).to("joined");
}
