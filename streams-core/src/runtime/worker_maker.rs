//! Makes workers: at the start, and when more are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::commit::Committer;
use super::data_clients::{ClientKind, ProducerMaker, properties};
use super::instance::WorkerLink;
use super::open_task::TaskOpener;
use super::purge::RepartitionPurge;
use super::task_settings::production_policy;
use super::threads::Threads;
use super::trouble::passes;
use super::worker::{Worker, WorkerParts, WorkerReport};
use crate::client::{DataConsumer, DataProducer};
use crate::config::StreamsConfig;
use crate::error::Error;

/// Between two tries to make the first producer of a worker.
const PRODUCER_RETRY: Duration = Duration::from_millis(250);

/// What the workers of an instance have in common.
#[derive(Debug)]
pub(super) struct WorkerMaker {
    pub(super) config: StreamsConfig,
    pub(super) opener: Arc<TaskOpener>,
    pub(super) reports: mpsc::UnboundedSender<WorkerReport>,
    /// Where the workers of the start run.
    pub(super) tasks: Handle,
}

impl WorkerMaker {
    /// Starts the worker number `index`: on the threads of the start, or, added later, on a thread of its own.
    pub(super) async fn start(&self, index: usize, added: bool) -> Result<WorkerLink, Error> {
        let parts = self.parts(index).await?;
        let (commands, received) = mpsc::unbounded_channel();
        let (handle, threads) = match added {
            true => Threads::start("streams-worker", 1).map(|(handle, threads)| (handle, Some(threads)))?,
            false => (self.tasks.clone(), None),
        };
        let ended = handle.spawn(Worker::new(parts).run(received));
        Ok(WorkerLink { commands, ended, _threads: threads })
    }

    async fn parts(&self, index: usize) -> Result<WorkerParts, Error> {
        let (config, opener) = (&self.config, &self.opener);
        let client = properties(config, ClientKind::Main, &format!("worker-{index}"));
        let consumer = DataConsumer::start(&client, &config.application_id, fetch_buffer_bytes(config))?;
        let producers = ProducerMaker::new(config, index, opener.directory.process_id());
        let producer = first_producer(&producers, config.startup_timeout).await?;
        let repartitions = opener.application.full_names().map(|(_, full_name)| Arc::clone(full_name));
        Ok(WorkerParts {
            index,
            thread_id: format!("{}-StreamThread-{}", config.effective_client_id(), index + 1),
            consumer,
            committer: Committer {
                producer,
                membership: opener.membership.clone(),
                wire: opener.wire.clone(),
                patience: config.task_timeout,
                guarantee: config.guarantee,
            },
            producers,
            opener: Arc::clone(opener),
            partition_counts: opener.partition_counts.clone(),
            status: opener.status.clone(),
            progress: opener.membership.progress(),
            commit_interval: config.effective_commit_interval(),
            purge: RepartitionPurge::new(
                opener.wire.clone(),
                repartitions.collect::<BTreeSet<_>>().into(),
                config.repartition_purge_interval,
            ),
            offset_reset: config.offset_reset,
            handlers: config.handlers.clone(),
            production: production_policy(config),
            reports: self.reports.clone(),
        })
    }
}

/// A worker's first producer. With exactly-once its coordinator may still be busy with what a former one left.
async fn first_producer(producers: &ProducerMaker, patience: Duration) -> Result<Arc<DataProducer>, Error> {
    let begun = Instant::now();
    loop {
        match producers.make().await {
            Err(error) if passes(&error) && begun.elapsed() < patience => {
                tracing::warn!(%error, "no producer yet");
                tokio::time::sleep(PRODUCER_RETRY).await;
            }
            made => return made,
        }
    }
}

/// Fetched records that wait for their tasks, per worker: an eighth of the memory budget at most.
fn fetch_buffer_bytes(config: &StreamsConfig) -> usize {
    let share = usize::try_from(config.memory_budget / 8).unwrap_or(usize::MAX) / config.threads.max(1);
    share.min(2 * config.buffered_bytes_per_partition)
}
