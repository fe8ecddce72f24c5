//! A word count on a broker, ready for its instances; and waiting for what must come to be.

use std::path::Path;
use std::time::{Duration, Instant};

use streams_dsl::{KafkaStreams, RunningStreams, StreamsConfig, StreamsState};

use crate::broker::TestBroker;
use crate::topics::Topics;
use crate::word_count::word_count;

/// Nothing that a scenario waits for may take longer.
pub const LIMIT: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(20);

/// A broker with the topics `lines` and `counts`, for a word count from the one to the other.
#[derive(Debug)]
pub struct WordCountScenario {
    /// The broker.
    pub broker: TestBroker,
    /// The topics.
    pub topics: Topics,
}

/// Everything here panics where it does not work: the scenario has failed then.
impl WordCountScenario {
    /// One whose topics begin with `name`; `lines` has so many partitions, `counts` has one.
    pub async fn new(name: &str, partitions: i32) -> Self {
        let broker = TestBroker::start().await;
        let topics = Topics::new(broker.bootstrap(), name);
        topics.create("lines", partitions).await;
        topics.create("counts", 1).await;
        WordCountScenario { broker, topics }
    }

    /// Settings of an instance.
    pub fn config(&self, state_dir: &Path) -> StreamsConfig {
        self.broker.config(&self.topics.name("app"), state_dir)
    }

    /// An instance that is not started.
    pub fn instance(&self, config: StreamsConfig) -> KafkaStreams {
        let topology = word_count(&self.topics.name("lines"), &self.topics.name("counts"));
        KafkaStreams::new(topology, config).expect("the settings can be used")
    }

    /// An instance that runs.
    pub async fn start(&self, config: StreamsConfig) -> RunningStreams {
        let streams = self.instance(config).start().await.expect("the instance starts");
        assert!(streams.wait_for(StreamsState::Running, LIMIT).await, "it is {}", streams.state());
        streams
    }
}

/// Looks again and again until there is something to see.
///
/// # Panics
/// When there is nothing within [`LIMIT`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
