//! Counts the words of text files, or of standard input.
//!
//! ```sh
//! cargo run -p examples --bin word_count -- README.md ARCHITECTURE.md
//! cargo run -p examples --bin word_count < README.md
//! ```
//!
//! Two instances that share the work, on a broker that is there; the first one reads the text:
//!
//! ```sh
//! cargo run -p examples --bin word_count -- --bootstrap 127.0.0.1:9092 --application-id words --follow README.md
//! cargo run -p examples --bin word_count -- --bootstrap 127.0.0.1:9092 --application-id words --follow < /dev/null
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use clap::Parser;
use examples::{Feed, Options, Playground, Result};
use streams_dsl::prelude::*;

const LINES: &str = "streams-lines";
const COUNTS: &str = "streams-word-counts";

/// Counts the words of text files, or of standard input.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Keep running after the end of the text, until ctrl-c or SIGTERM.
    #[arg(long)]
    follow: bool,
    /// How many of the most frequent words are printed at the end.
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// The text files; standard input without.
    files: Vec<PathBuf>,
}

fn topology() -> std::result::Result<Topology, TopologyError> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(LINES)
        .flat_map_values(|line| words(&line))
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to(COUNTS);
    builder.build()
}

fn words(line: &str) -> Vec<String> {
    line.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn main() {
    examples::run(example());
}

async fn example() -> Result<()> {
    let arguments = Arguments::parse();
    let playground = Playground::open("word-count", &arguments.options).await?;
    playground.create_topics(&[LINES, COUNTS]).await?;
    let streams = KafkaStreams::new(topology()?, playground.config()?)?.start().await?;
    let feed = playground.feed()?;
    let reading = tokio::task::spawn_blocking(move || send_lines(&feed, &arguments.files));
    if arguments.follow {
        eprintln!("{} on {}; ctrl-c ends", playground.application_id(), playground.bootstrap());
        streams.run_until_signal().await?;
        return playground.close().await;
    }
    let work = async {
        reading.await??;
        playground.until_caught_up(&[LINES]).await
    };
    playground.beside(streams, work).await?;
    print_top(playground.last_values(COUNTS).await?, arguments.top);
    playground.close().await
}

fn send_lines(feed: &Feed, files: &[PathBuf]) -> Result<()> {
    let mut texts: Vec<Box<dyn Read>> = Vec::new();
    for file in files {
        texts.push(Box::new(File::open(file).map_err(|error| format!("{}: {error}", file.display()))?));
    }
    if texts.is_empty() {
        texts.push(Box::new(std::io::stdin()));
    }
    for text in texts {
        for line in BufReader::new(text).lines() {
            feed.send(LINES, None, line?.as_bytes(), None)?;
        }
    }
    feed.flush()
}

/// Counts are big-endian 64-bit integers, as in Kafka Streams.
fn print_top(counts: examples::LastValues, top: usize) {
    let number = |value: Vec<u8>| i64::from_be_bytes(value.try_into().unwrap_or_default());
    let mut counts: Vec<_> = counts.into_iter().map(|(word, value)| (number(value), word)).collect();
    counts.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    for (count, word) in counts.into_iter().take(top) {
        println!("{count:>8}  {}", String::from_utf8_lossy(&word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use streams_test_driver::TopologyTestDriver;

    #[test]
    fn words_are_counted_over_lines() {
        let mut driver = TopologyTestDriver::new(topology().unwrap()).unwrap();
        let lines = driver.input_topic::<Option<String>, String>(LINES);
        let counts = driver.output_topic::<String, i64>(COUNTS);
        for line in ["To be, or not to be:", "", "that is the question."] {
            lines.pipe(&mut driver, None, line.to_owned()).unwrap();
        }
        let last: BTreeMap<_, _> = counts.read_key_values(&mut driver).unwrap().into_iter().collect();
        assert_eq!((last["to"], last["be"], last["question"], last.len()), (2, 2, 1, 8));
    }
}
