//~ a stream cannot be cut into windows by
//~ `.grace(..)` or `.no_grace()`
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let _counts = rides.group_by_key().windowed_by(TimeWindows::of_size(Duration::from_secs(60))).count();
}
