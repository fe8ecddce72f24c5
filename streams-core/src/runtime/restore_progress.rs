//! How far a task's restore is: told to the listener, the log, the metrics and the status.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::restore_listener::{StateRestoreListener, StoreRestore};
use super::status_board::StatusBoard;
use crate::record::TopicPartition;
use crate::topology::TaskId;

/// How often a restore says in the log how far it is.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// What a restore is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestoreRole {
    /// A task that is to run here.
    Active,
    /// A copy of another instance's task.
    Standby,
}

/// The progress of one task's restore. Dropped before all its stores are at their ends it was given up.
pub(super) struct RestoreProgress {
    task: TaskId,
    role: RestoreRole,
    // Each store, and the next offset to restore.
    stores: Vec<(StoreRestore, i64)>,
    status: StatusBoard,
    listener: Option<Arc<dyn StateRestoreListener>>,
    begun: Instant,
    logged: Instant,
    total: i64,
}

impl RestoreProgress {
    pub(super) fn begin(
        task: TaskId,
        stores: Vec<StoreRestore>,
        role: RestoreRole,
        status: StatusBoard,
        listener: Option<Arc<dyn StateRestoreListener>>,
    ) -> Self {
        let now = Instant::now();
        let stores: Vec<(StoreRestore, i64)> = stores
            .into_iter()
            .map(|store| (store.start, store))
            .map(|(start, store)| (store, start))
            .collect();
        let mut progress =
            RestoreProgress { task, role, stores, status, listener, begun: now, logged: now, total: 0 };
        progress.total = progress.left();
        if role == RestoreRole::Active {
            tracing::info!(%task, records = progress.total, "restoring");
        }
        for (store, _) in &progress.stores {
            progress.tell(|listener| listener.on_restore_start(store));
        }
        progress.show();
        progress
    }

    /// Notes a batch, of so many records and bytes, after which a changelog's next offset is `next`.
    pub(super) fn note(&mut self, partition: &TopicPartition, next: i64, (records, bytes): (u64, u64)) {
        let Some(place) = self.stores.iter().position(|(store, _)| store.partition == *partition) else {
            return;
        };
        let (store, at) = &mut self.stores[place];
        store.records += records;
        store.bytes += bytes;
        *at = next;
        let done = *at >= store.end;
        let (store, _) = &self.stores[place];
        if records > 0 {
            self.tell(|listener| listener.on_batch_restored(store, records));
        }
        if done {
            self.tell(|listener| listener.on_restore_end(store));
        }
        if self.role == RestoreRole::Active {
            metrics::counter!("kafka_streams_stream_task_metrics_restore_total", "task_id" => self.task.to_string())
                .increment(records);
        }
        self.show();
        self.log();
    }

    fn left(&self) -> i64 {
        self.stores.iter().map(|(store, next)| store.end - next).sum()
    }

    fn restored(&self) -> (u64, u64) {
        self.stores
            .iter()
            .fold((0, 0), |(records, bytes), (store, _)| (records + store.records, bytes + store.bytes))
    }

    /// By the pace so far, which counts offsets: what compaction has left out takes no time.
    fn eta(&self) -> Option<Duration> {
        let left = self.left();
        let done = self.total - left;
        (done > 0 && left > 0).then(|| self.begun.elapsed().mul_f64(left as f64 / done as f64))
    }

    fn show(&self) {
        if self.role == RestoreRole::Standby {
            return;
        }
        let (left, eta, (records, bytes)) = (self.left(), self.eta(), self.restored());
        self.status.update(self.task, |status| {
            status.restore_remaining = u64::try_from(left).unwrap_or(0);
            (status.restored_records, status.restored_bytes) = (records, bytes);
            status.restore_eta = eta;
        });
        metrics::gauge!(
            "kafka_streams_stream_task_metrics_restore_remaining_records_total",
            "task_id" => self.task.to_string()
        )
        .set(left as f64);
    }

    fn log(&mut self) {
        let (left, (records, bytes), task) = (self.left(), self.restored(), self.task);
        if self.role == RestoreRole::Standby {
            return;
        }
        if left == 0 {
            let seconds = self.begun.elapsed().as_secs_f64();
            tracing::info!(%task, records, bytes, seconds, "restored {records} records of task {task}");
        } else if self.logged.elapsed() >= LOG_INTERVAL {
            self.logged = Instant::now();
            tracing::info!(%task, records, bytes, left, eta = ?self.eta().unwrap_or_default(), "restoring");
        }
    }

    /// The listener is the application's code.
    fn tell(&self, call: impl FnOnce(&dyn StateRestoreListener)) {
        let Some(listener) = &self.listener else { return };
        if catch_unwind(AssertUnwindSafe(|| call(listener.as_ref()))).is_err() {
            tracing::error!(task = %self.task, "the restore listener panicked");
        }
    }
}

impl Drop for RestoreProgress {
    fn drop(&mut self) {
        for (store, next) in &self.stores {
            if *next < store.end {
                self.tell(|listener| listener.on_restore_suspended(store));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl StateRestoreListener for Told {
        fn on_restore_start(&self, restore: &StoreRestore) {
            self.0
                .lock()
                .unwrap()
                .push(format!("start {} {}..{}", restore.store, restore.start, restore.end));
        }

        fn on_batch_restored(&self, restore: &StoreRestore, records: u64) {
            self.0.lock().unwrap().push(format!("batch {} {records} {}", restore.store, restore.bytes));
        }

        fn on_restore_end(&self, restore: &StoreRestore) {
            self.0.lock().unwrap().push(format!("end {} {}", restore.store, restore.records));
            panic!("a listener's own fault");
        }

        fn on_restore_suspended(&self, restore: &StoreRestore) {
            self.0.lock().unwrap().push(format!("suspended {}", restore.store));
        }
    }

    #[test]
    fn listener_and_status_follow_a_restore_to_its_end_or_its_suspension() {
        let (task, told, status) = (TaskId::new(1, 0), Arc::new(Told::default()), StatusBoard::default());
        status.add(task, 0);
        let store = |name: &str, end| StoreRestore {
            task,
            store: name.into(),
            partition: TopicPartition::new(format!("app-{name}-changelog"), 0),
            start: 10,
            end,
            records: 0,
            bytes: 0,
        };
        let stores = vec![store("counts", 20), store("rides", 40)];
        let (counts, rides) = (stores[0].partition.clone(), stores[1].partition.clone());
        let listener: Arc<dyn StateRestoreListener> = Arc::clone(&told) as _;
        let mut progress =
            RestoreProgress::begin(task, stores, RestoreRole::Active, status.clone(), Some(listener));
        progress.note(&counts, 20, (8, 80));
        progress.note(&rides, 30, (20, 500));
        let shown = status.snapshot().tasks.remove(&task).unwrap();
        assert_eq!((shown.restored_records, shown.restored_bytes, shown.restore_remaining), (28, 580, 10));
        assert!(shown.restore_eta.is_some());
        drop(progress);
        assert_eq!(
            *told.0.lock().unwrap(),
            [
                "start counts 10..20",
                "start rides 10..40",
                "batch counts 8 80",
                "end counts 8",
                "batch rides 20 500",
                "suspended rides"
            ]
        );
    }
}
