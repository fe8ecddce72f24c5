//! Exactly-once through crashes: a broker of vectors, a task, and a random history of work, commits and kill -9.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the broker keeps. A transaction covers the changelog records and the input offset; a control record takes an
/// offset at its end.
#[derive(Default)]
struct Broker {
    input: Vec<OwnedRecord>,
    /// By offset; none for aborted records and control records.
    changelog: Vec<Option<OwnedRecord>>,
    /// Where the open transaction's records begin.
    open_from: usize,
    committed: Option<CommittedOffset>,
}

impl Broker {
    fn produce(&mut self, gathered: &Gathered) {
        for record in changelog(gathered) {
            let offset = self.changelog.len() as i64;
            self.changelog.push(Some(OwnedRecord { offset, ..record }));
        }
    }

    fn end_transaction(&mut self, commit: bool) {
        if !commit {
            self.changelog[self.open_from..].fill(None);
        }
        self.changelog.push(None);
        self.open_from = self.changelog.len();
    }

    fn end(&self) -> i64 {
        self.changelog.len() as i64
    }
}

/// The task, and how far its owner is with it.
struct Run {
    task: Task,
    fetched: usize,
    /// The sealed epoch's offset, while its transaction is open.
    sealed: Option<CommittedOffset>,
}

impl Run {
    fn open(backend: &Arc<MapBackend>, broker: &Broker) -> Run {
        let mut task = open(appending_topology(backend), &["in"], never_wait());
        let from = task.restore_from(0, 0, broker.end()).unwrap();
        let records: Vec<OwnedRecord> = broker.changelog[from as usize..].iter().flatten().cloned().collect();
        let (first, second) = records.split_at(records.len() / 2);
        if let Some(last) = first.last() {
            task.restore(0, first, last.offset + 1).unwrap();
        }
        task.restore(0, second, broker.end()).unwrap();
        task.start(NOW, std::slice::from_ref(&broker.committed)).unwrap();
        let fetched = broker.committed.as_ref().map_or(0, |committed| committed.offset as usize);
        Run { task, fetched, sealed: None }
    }

    fn work(&mut self, broker: &Broker, records: usize) {
        let end = (self.fetched + records).min(broker.input.len());
        self.task.add_records(0, broker.input[self.fetched..end].iter().cloned());
        self.fetched = end;
        // One stays in the queue now and then.
        self.task.process(NOW, records.max(2) - 1).unwrap();
    }

    fn seal(&mut self, broker: &mut Broker) {
        if self.sealed.is_none() && self.task.needs_commit() {
            let epoch = self.task.seal(Gathered::default()).unwrap();
            broker.produce(&epoch.gathered);
            let offset = epoch.offsets.into_iter().next().map(|(_, offset)| offset);
            self.sealed = offset.or_else(|| broker.committed.clone());
        }
    }

    /// Commits the transaction; the stores follow unless the process dies in between.
    fn commit(&mut self, broker: &mut Broker, die: bool) {
        if let Some(offset) = self.sealed.take() {
            broker.committed = Some(offset);
            broker.end_transaction(true);
            if !die {
                self.task.commit_stores(&[Some(broker.end())]).unwrap();
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Work(usize),
    Produce,
    Seal,
    Commit,
    Crash,
    CrashInsideCommit,
    LoseDisk,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1usize..6).prop_map(Action::Work),
        3 => Just(Action::Produce),
        3 => Just(Action::Seal),
        3 => Just(Action::Commit),
        1 => Just(Action::Crash),
        1 => Just(Action::CrashInsideCommit),
        1 => Just(Action::LoseDisk),
    ]
}

proptest! {
    #[test]
    fn stores_end_as_if_nothing_had_happened(actions in prop::collection::vec(action(), 1..60)) {
        let mut broker = Broker::default();
        let mut expected: BTreeMap<String, String> = BTreeMap::new();
        for offset in 0..80i64 {
            let (key, value) = (format!("k{}", offset % 5), format!("{offset},"));
            expected.entry(key.clone()).or_default().push_str(&value);
            broker.input.push(fetched(offset, offset, &key, &value));
        }
        let mut backend: Arc<MapBackend> = Arc::default();
        let mut run = Run::open(&backend, &broker);
        for action in actions {
            let crash = match action {
                Action::Work(records) => {
                    run.work(&broker, records);
                    false
                }
                // While an epoch is being committed its successor's records wait.
                Action::Produce => {
                    if run.sealed.is_none() {
                        broker.produce(&run.task.gather(Gathered::default()));
                    }
                    false
                }
                Action::Seal => {
                    run.seal(&mut broker);
                    false
                }
                Action::Commit => {
                    run.commit(&mut broker, false);
                    false
                }
                Action::Crash => true,
                Action::CrashInsideCommit => {
                    run.commit(&mut broker, true);
                    true
                }
                Action::LoseDisk => {
                    backend = Arc::default();
                    true
                }
            };
            if crash {
                broker.end_transaction(false);
                run = Run::open(&backend, &broker);
            }
        }
        run.commit(&mut broker, false);
        while run.fetched < broker.input.len() || run.task.buffered_records() > 0 {
            run.work(&broker, 10);
        }
        run.seal(&mut broker);
        run.commit(&mut broker, false);
        for (key, value) in &expected {
            let found = run.task.store_mut::<MapStore>("texts").unwrap().get(key);
            prop_assert_eq!(found.as_ref(), Some(value), "{}", key);
        }
        // A disk that is lost at the very end is rebuilt from the changelog alone.
        let mut rebuilt = Run::open(&Arc::default(), &broker);
        for (key, value) in &expected {
            let found = rebuilt.task.store_mut::<MapStore>("texts").unwrap().get(key);
            prop_assert_eq!(found.as_ref(), Some(value), "{}", key);
        }
    }
}
