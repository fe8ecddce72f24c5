//~ a stream cannot be cut into windows by
//~ `SessionWindows::of_inactivity_gap(..)`
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let clicks = builder.stream::<String, String>("clicks");
    let visits = SessionWindows::of_inactivity_gap(Duration::from_secs(60));
    let _counts = clicks.group_by_key().windowed_by(visits).count();
}
