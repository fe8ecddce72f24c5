//! The broker that an example runs on: one that is there, or a log server in the same process.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use log_server::{FsyncPolicy, LogServer, LogServerConfig};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use streams_dsl::{RunningStreams, StreamsConfig, StreamsHandle};

use crate::topic::{LastValues, Tail, is_caught_up, last_values};
use crate::{Feed, Options, Result};

const CATCH_UP_LIMIT: Duration = Duration::from_secs(300);
/// An application that has begun anew so often will not get further.
const ERRORS_MAX: usize = 3;
const ERRORS_PAUSE: Duration = Duration::from_millis(500);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);
/// Somebody is watching: what does not go on is to say so soon.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const TASK_TIMEOUT_MS: &str = "30000";
const SHUTDOWN_TIMEOUT_MS: &str = "10000";

/// A broker, and the application that uses it.
pub struct Playground {
    bootstrap: String,
    application_id: String,
    state_dir: PathBuf,
    temporary_state: bool,
    options: Options,
    server: Option<LogServer>,
}

impl std::fmt::Debug for Playground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playground").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

impl Playground {
    /// Finds or starts the broker. `name` begins the application id where the options give none.
    ///
    /// # Errors
    /// When the log server cannot start.
    pub async fn open(name: &str, options: &Options) -> Result<Self> {
        let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let application_id = options.application_id.clone().unwrap_or_else(|| format!("{name}-{now_ms}"));
        let server = match options.bootstrap {
            Some(_) => None,
            None => {
                let config = LogServerConfig::temporary()?
                    // Its data is gone with the program, so nothing is won by forcing it to the disk.
                    .fsync(FsyncPolicy::Never)
                    .default_partitions(options.partitions)
                    .group_initial_rebalance_delay(Duration::ZERO);
                Some(LogServer::start(config).await?)
            }
        };
        let bootstrap = match (&options.bootstrap, &server) {
            (Some(given), _) => given.clone(),
            (None, Some(server)) => server.address().to_string(),
            (None, None) => return Err("no broker".into()),
        };
        let state_dir = options
            .state_dir
            .clone()
            .unwrap_or_else(|| std::env::temp_dir().join(format!("{application_id}-{}", std::process::id())));
        Ok(Self {
            bootstrap,
            application_id,
            temporary_state: options.state_dir.is_none(),
            state_dir,
            options: options.clone(),
            server,
        })
    }

    /// Address of the broker, host:port.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The application id of this run.
    pub fn application_id(&self) -> &str {
        &self.application_id
    }

    /// Whether the broker runs in this process.
    pub fn is_own(&self) -> bool {
        self.server.is_some()
    }

    /// The configuration of the application. It commits often, so that a reader sees results early.
    ///
    /// # Errors
    /// When a `--set` names an unknown key or has a bad value.
    pub fn config(&self) -> Result<StreamsConfig> {
        let config = StreamsConfig::new(&self.application_id, &self.bootstrap)
            .state_dir(&self.state_dir)
            .commit_interval(COMMIT_INTERVAL)
            .session_timeout(SESSION_TIMEOUT)
            .with("task.timeout.ms", TASK_TIMEOUT_MS)?
            .with("shutdown.timeout.ms", SHUTDOWN_TIMEOUT_MS)?;
        let sets = &self.options.sets;
        Ok(sets.iter().try_fold(config, |config, (key, value)| config.with(key, value))?)
    }

    /// Creates topics; returns whether this run created the first of them, and so is the one to fill them.
    ///
    /// # Errors
    /// When the broker refuses for another reason than that the topic exists.
    pub async fn create_topics(&self, topics: &[&str]) -> Result<bool> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create()?;
        let partitions = self.options.partitions;
        // Event times may lie years back; a broker's default retention would delete such records at once.
        let new: Vec<_> = topics
            .iter()
            .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1"))
            .collect();
        let mut created = Vec::new();
        for answer in admin.create_topics(&new, &AdminOptions::new()).await? {
            match answer {
                Ok(topic) => created.push(topic),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(format!("topic `{topic}` could not be created: {code}").into());
                }
            }
        }
        Ok(topics.first().is_some_and(|first| created.iter().any(|topic| topic == first)))
    }

    /// A producer to this broker.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn feed(&self) -> Result<Feed> {
        Feed::new(&self.bootstrap)
    }

    /// Calls `each` with the key and value of every record of a topic, also of those to come, until the result is dropped.
    ///
    /// # Errors
    /// When the topic is missing or the broker does not answer.
    pub fn follow(&self, topic: &str, each: impl FnMut(&[u8], &[u8]) + Send + 'static) -> Result<Tail> {
        Tail::start(&self.bootstrap, topic, each)
    }

    /// Does `work` while the application runs, then closes the application.
    ///
    /// # Errors
    /// Why the work failed, or the application meanwhile. On the log server of this process also what the application would try
    /// again: its disk will not get larger while somebody waits.
    pub async fn beside<T>(
        &self,
        streams: RunningStreams,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut done = None;
        let lasting = lasting_error(streams.handle(), self.is_own());
        let both = async {
            done = Some(tokio::select! {
                done = work => done,
                error = lasting => Err(error.into()),
            });
        };
        let closed = streams.run_until(both).await;
        match (done, closed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (Some(Ok(done)), Ok(())) => Ok(done),
            (None, Ok(())) => Err("the application ended by itself".into()),
        }
    }

    /// Waits until the application, in whatever instances, has committed everything in its input topics and in its
    /// own repartition topics.
    ///
    /// # Errors
    /// When that takes more than five minutes, or the broker does not answer.
    pub async fn until_caught_up(&self, inputs: &'static [&'static str]) -> Result<()> {
        let began = Instant::now();
        loop {
            let (bootstrap, application_id) = (self.bootstrap.clone(), self.application_id.clone());
            let check =
                tokio::task::spawn_blocking(move || is_caught_up(&bootstrap, &application_id, inputs));
            if check.await?? {
                return Ok(());
            }
            if began.elapsed() > CATCH_UP_LIMIT {
                return Err(
                    format!("{} has not caught up within {CATCH_UP_LIMIT:?}", self.application_id).into()
                );
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    /// The last value of each key of a topic.
    ///
    /// # Errors
    /// When the topic is missing or the broker does not answer.
    pub async fn last_values(&self, topic: &str) -> Result<LastValues> {
        let (bootstrap, topic) = (self.bootstrap.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || last_values(&bootstrap, &topic)).await?
    }

    /// Stops the log server, if it is one of our own, and removes temporary state.
    ///
    /// # Errors
    /// When the log server cannot close its files.
    pub async fn close(self) -> Result<()> {
        if let Some(server) = self.server {
            server.shutdown().await?;
        }
        if self.temporary_state {
            std::fs::remove_dir_all(&self.state_dir).ok();
        }
        Ok(())
    }
}

/// The latest error of an application that has met several, where those are looked for.
async fn lasting_error(handle: StreamsHandle, looked_for: bool) -> String {
    loop {
        tokio::time::sleep(ERRORS_PAUSE).await;
        let errors = handle.status().errors;
        if let Some(last) = errors.iter().next_back().filter(|_| looked_for && errors.len() >= ERRORS_MAX) {
            return format!("the application does not get on: {}", last.message);
        }
    }
}
