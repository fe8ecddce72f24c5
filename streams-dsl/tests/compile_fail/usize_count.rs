//~ `usize` has no default serde
//~ use `u64` or `i64`
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("words");
    words.map_values(|word| word.len()).to("lengths");
}
