//~ expected `i64`, found `String`
use streams_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, i64>("rides");
    let drivers = builder.table::<i64, String>("drivers");
    rides.join(&drivers, |_, driver| driver.clone()).to("joined");
}
