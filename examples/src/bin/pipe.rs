//! Copies records from the topic `streams-input` to the topic `streams-output`, upper-cased, until ctrl-c.
//!
//! ```sh
//! cargo run -p examples --bin pipe -- --bootstrap 127.0.0.1:9092 --application-id my-pipe
//! cargo run -p examples --bin pipe          # on a log server of its own, whose address it prints
//! ```

use clap::Parser;
use examples::{Options, Playground, Result};
use streams_dsl::prelude::*;

const INPUT: &str = "streams-input";
const OUTPUT: &str = "streams-output";

/// Copies streams-input to streams-output, upper-cased, until ctrl-c.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn topology() -> std::result::Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, Option<String>>(INPUT)
        .map_values(|text| text.map(|text| text.to_uppercase()))
        .to(OUTPUT);
    builder.build()
}

fn main() {
    examples::run(example());
}

async fn example() -> Result<()> {
    let playground = Playground::open("pipe", &Arguments::parse().options).await?;
    playground.create_topics(&[INPUT, OUTPUT]).await?;
    let streams = KafkaStreams::new(topology()?, playground.config()?)?.start().await?;
    println!("{INPUT} -> {OUTPUT} on {}; ctrl-c ends", playground.bootstrap());
    streams.run_until_signal().await?;
    playground.close().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams_test_driver::TopologyTestDriver;

    #[test]
    fn records_pass_with_their_keys_and_nulls() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).unwrap();
        let input = driver.input_topic::<Option<String>, Option<String>>(INPUT);
        let output = driver.output_topic::<Option<String>, Option<String>>(OUTPUT);
        input.pipe(&mut driver, Some("k".to_owned()), Some("Grüße".to_owned())).unwrap();
        input.pipe(&mut driver, None, None).unwrap();
        let records = output.read_key_values(&mut driver).unwrap();
        assert_eq!(records, [(Some("k".to_owned()), Some("GRÜSSE".to_owned())), (None, None)]);
    }
}
