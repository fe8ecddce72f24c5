//! A worker begins anew: from the last commit, with another producer.

use std::time::Duration;

use tokio::time::Instant;

use super::trouble::{is_damage, passes};
use super::worker::{TaskHandle, Worker, WorkerReport};
use crate::config::UncaughtResponse;
use crate::error::Error;
use crate::task::{TaskError, Tried};
use crate::topology::TaskId;

/// How long a worker whose replacement was asked for waits, so that a lasting error does not keep the machine busy.
const REPLACE_PAUSE: Duration = Duration::from_millis(500);

impl Worker {
    /// Copes with a failure, of one task or of the worker. What passes by itself is tried again from the last commit; what does
    /// not, or does not in `task.timeout.ms`, is the instance's to decide.
    pub(super) async fn recover(&mut self, task: Option<TaskId>, error: Error) {
        let entry = task.map(|task| self.tasks.get(&task));
        if entry.is_some_and(|entry| entry.is_none_or(|it| matches!(it.handle, TaskHandle::Waiting))) {
            // It was closed meanwhile, so that it is another owner's now; or it was ended with all others, for what failed was theirs as well.
            return;
        }
        self.parts.status.note_error(task, &error);
        let pause = match again(&error) {
            Some((id, tried, pause)) => {
                self.parts.opener.note_tried(id, tried);
                Some(pause)
            }
            None if passes(&error) => self.trouble.pause(),
            None => None,
        };
        match pause {
            Some(pause) => {
                tracing::warn!(worker = self.parts.index, %error, ?pause, "beginning again from the last commit");
                if let Some(task) = task.filter(|_| is_damage(&error)) {
                    self.parts.opener.distrust(task);
                }
                self.begin_anew(task, pause).await;
            }
            None => self.give_up(task, error).await,
        }
    }

    async fn give_up(&mut self, task: Option<TaskId>, error: Error) {
        let response = self.parts.handlers.answer(&error);
        tracing::error!(worker = self.parts.index, %error, ?response, "failed");
        let report = match response {
            UncaughtResponse::ReplaceWorker => {
                self.trouble.is_over();
                return self.begin_anew(task, REPLACE_PAUSE).await;
            }
            UncaughtResponse::StopInstance => WorkerReport::Failed(error),
            UncaughtResponse::StopApplication => WorkerReport::StopApplication(error),
        };
        self.begin_anew(task, Duration::MAX).await;
        // The instance is gone when nobody listens.
        let _ = self.parts.reports.send(report);
    }

    /// Ends what runs, as it is, and opens it again after `pause`. A task that failed alone does not disturb the others
    /// at-least-once; a transaction, and a producer that failed, are all tasks'.
    pub(super) async fn begin_anew(&mut self, task: Option<TaskId>, pause: Duration) {
        let alone = task.filter(|_| !self.exactly_once() && self.parts.committer.producer.check().is_ok());
        let ended: Vec<TaskId> = match alone {
            Some(task) => vec![task],
            None => {
                self.spoil_producer();
                let concerned = self.tasks.iter().filter(|(id, entry)| {
                    task == Some(**id) || matches!(entry.handle, TaskHandle::Running { .. })
                });
                concerned.map(|(id, _)| *id).collect()
            }
        };
        if let Err(error) = self.end(&ended).await {
            tracing::warn!(%error, "partitions could not be taken off the consumer");
        }
        for id in ended {
            self.parts.status.add(id, self.parts.index);
        }
        let at = Instant::now().checked_add(pause);
        self.anew_at = self.anew_at.max(at);
        let _ = self.parts.reports.send(WorkerReport::TaskRuns);
    }

    /// What the producer holds is not to be sent any more: it is dropped now, and the producer is not used again.
    pub(super) fn spoil_producer(&mut self) {
        if !self.producer_spoilt {
            self.producer_spoilt = true;
            self.parts.committer.producer.purge();
            self.anew_at.get_or_insert_with(Instant::now);
        }
    }

    /// Makes another producer if need be, and opens the tasks that wait.
    pub(super) async fn open_waiting(&mut self) {
        self.anew_at = None;
        if self.producer_spoilt {
            match self.parts.producers.make().await {
                Ok(producer) => {
                    self.parts.committer.producer = producer;
                    self.producer_spoilt = false;
                }
                Err(error) => {
                    let pause = if passes(&error) { self.trouble.pause() } else { None };
                    match pause {
                        Some(pause) => {
                            tracing::warn!(worker = self.parts.index, %error, "no producer yet");
                            self.anew_at = Some(Instant::now() + pause);
                        }
                        None => self.give_up(None, error).await,
                    }
                    return;
                }
            }
        }
        let waiting = self.tasks.values().filter(|entry| matches!(entry.handle, TaskHandle::Waiting));
        let waiting: Vec<_> = waiting.map(|entry| entry.assigned.clone()).collect();
        waiting.into_iter().for_each(|task| self.open(task));
    }
}

/// What is to be tried again, and when.
fn again(error: &Error) -> Option<(TaskId, Tried, Duration)> {
    let Error::Task { task, source } = error else { return None };
    match source.downcast_ref::<TaskError>() {
        Some(TaskError::TryAgain { tried, pause, .. }) => Some((*task, tried.clone(), *pause)),
        _ => None,
    }
}
