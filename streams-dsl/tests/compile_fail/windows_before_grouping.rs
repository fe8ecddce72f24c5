//~ a stream must be grouped before it is cut into windows
//~ say `.group_by_key()` or `.group_by(..)` before `.windowed_by(..)`
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    rides.windowed_by(TimeWindows::of_size(Duration::from_secs(60)).no_grace());
}
