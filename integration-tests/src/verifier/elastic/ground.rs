//! What a command runs on: a broker, topics, steady input, processes of the application.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use streams_dsl::client::wire::NewTopic;
use tokio::task::JoinHandle;

use super::options::ElasticOptions;
use super::signed_output::SignedOutput;
use super::steady_input::{SteadyInput, feed};
use crate::verifier::application::Application;
use crate::verifier::fleet::{Fleet, settings};
use crate::verifier::readback::Reader;
use crate::verifier::site::Site;
use crate::verifier::status_report::{StatusLine, now_ms};
use crate::verifier::topology::{DATA, DEAD, DOUBLED, DOUBLES, SIGNED, name};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Between two looks at what the instances do.
const LOOK: Duration = Duration::from_millis(20);
/// How long the instances may take in the end to process what is left.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

/// The output topics of an application.
fn outputs(application: Application) -> &'static [&'static str] {
    match application {
        Application::Poison => &[DOUBLED, DOUBLES, DEAD],
        _ => &[SIGNED],
    }
}

pub(super) struct Ground {
    pub(super) fleet: Fleet,
    pub(super) begun: Instant,
    options: ElasticOptions,
    prefix: String,
    reader: Reader,
    over: Arc<AtomicBool>,
    feeding: Option<JoinHandle<Outcome<SteadyInput>>>,
    // Behind the fleet, whose instances end before their broker.
    _site: Site,
}

/// What a run has left.
pub(super) struct Harvest {
    pub(super) input: SteadyInput,
    pub(super) output: SignedOutput,
    /// Partitions that were not processed to their ends, and instances that failed.
    pub(super) failures: Vec<String>,
}

impl Ground {
    /// Starts the broker, creates the topics; no instance runs yet, and nothing is sent.
    pub(super) async fn prepare(
        options: &ElasticOptions,
        verifier: &Path,
        instances: usize,
    ) -> Outcome<Self> {
        let site = options.site.prepare(verifier).await?;
        let prefix = format!("elastic-{}-{}", options.seed, now_ms());
        let reader = Reader::new(&site.bootstrap);
        let topic = |topic: &str| NewTopic::new(name(&prefix, topic), options.partitions);
        // The broker's clock tells when each result came.
        let output = |output: &&str| topic(output).config("message.timestamp.type", "LogAppendTime");
        let mut topics: Vec<NewTopic> = outputs(options.application).iter().map(output).collect();
        topics.push(topic(DATA));
        reader.create_topics(&topics).await?;
        let sets = settings(&options.guarantee, options.session_ms, &options.sets);
        let addresses = vec![site.bootstrap.clone(); instances];
        let dir = site.dir.clone();
        let fleet =
            Fleet::new(verifier.to_owned(), dir, &addresses, options.application, &prefix, &sets).reporting();
        let over = Arc::new(AtomicBool::new(false));
        Ok(Ground {
            fleet,
            begun: Instant::now(),
            options: options.clone(),
            prefix,
            reader,
            over,
            feeding: None,
            _site: site,
        })
    }

    /// Begins to send.
    pub(super) fn begin_load(&mut self) {
        let data: Arc<str> = name(&self.prefix, DATA).into();
        let bootstrap = self.reader.bootstrap().to_owned();
        let feeding = feed(bootstrap, data, self.options.clone(), Arc::clone(&self.over));
        self.feeding = Some(tokio::spawn(feeding));
    }

    /// What each running member does, over all processes.
    pub(super) fn members(&self) -> Vec<StatusLine> {
        (0..self.fleet.len()).flat_map(|number| self.fleet.status(number)).collect()
    }

    /// Whether so many members run all tasks in fair shares, and nobody opens any.
    pub(super) fn is_settled(&self, members: usize) -> bool {
        let tasks = usize::try_from(self.options.partitions).unwrap_or_default();
        let fair = |count: usize| count == tasks / members || count == tasks.div_ceil(members);
        let lines = self.members();
        let running: usize = lines.iter().map(|line| line.running.len()).sum();
        lines.len() == members
            && running == tasks
            && lines.iter().all(|line| line.opening == 0 && fair(line.running.len()))
    }

    /// Waits until so many members share all tasks; answers when that was, in milliseconds since 1970.
    pub(super) async fn until_settled(&self, members: usize, limit: Duration) -> Outcome<i64> {
        let begun = Instant::now();
        while !self.is_settled(members) {
            if begun.elapsed() > limit {
                return Err(format!("{members} members expected to settle: {:?}", self.members()).into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(now_ms())
    }

    /// The name of one of the topics.
    pub(super) fn topic(&self, topic: &str) -> String {
        name(&self.prefix, topic)
    }

    /// Reads what was written.
    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Ends the load and waits until all of it is processed. Answers what was sent, and the partitions that were not processed to their
    /// ends.
    pub(super) async fn end_load(&mut self) -> Outcome<(SteadyInput, Vec<String>)> {
        self.over.store(true, Ordering::Release);
        let feeding = self.feeding.take().ok_or("nothing was sent")?;
        let input = feeding.await??;
        let application = format!("{}-app", self.prefix);
        let left = self.reader.until_caught_up(&application, &self.topic(DATA), CATCH_UP_LIMIT).await?;
        Ok((input, left))
    }

    /// Ends the instances; answers which of them failed.
    pub(super) async fn end_instances(&mut self) -> Outcome<Vec<String>> {
        for number in 0..self.fleet.len() {
            self.fleet.end(number).await?;
        }
        Ok(std::mem::take(&mut self.fleet.failures))
    }

    /// Ends all, and reads the output of a relay or a tally.
    pub(super) async fn harvest(mut self) -> Outcome<Harvest> {
        let (input, left) = self.end_load().await?;
        let failures = [left, self.end_instances().await?].concat();
        let output = SignedOutput::read(&self.reader, &self.options, &self.prefix).await?;
        Ok(Harvest { input, output, failures })
    }
}
