use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::log::FoundMarker;

mod random_orders;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A coordinator with its log, and the markers that it has asked for.
struct Bench {
    coordinator: TxnCoordinator,
    now: Moment,
    tickets: Ticket,
    fresh_id: i64,
    log: Vec<Append>,
    appends: Vec<Append>,
    markers: Vec<Markers>,
    /// When the transaction began that each step ends.
    starts: BTreeMap<StepId, i64>,
    /// Markers that a restart finds, in whichever partition.
    found: Vec<Markers>,
    /// What decisions that may be found say, by producer id and beginning.
    outcomes: BTreeMap<(i64, i64), bool>,
    answered: BTreeMap<Ticket, Result<ProducerIdentity, ErrorCode>>,
}

impl Bench {
    fn new() -> Self {
        let now = Moment { ticks: Duration::ZERO, wall_ms: 1_700_000_000_000 };
        Self {
            coordinator: TxnCoordinator::new(TxnConfig::default(), now),
            now,
            tickets: 0,
            fresh_id: 1000,
            log: Vec::new(),
            appends: Vec::new(),
            markers: Vec::new(),
            starts: BTreeMap::new(),
            found: Vec::new(),
            outcomes: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    fn take(&mut self, effects: Effects) {
        for (ticket, reply) in effects.replies {
            assert_eq!(self.answered.insert(ticket, reply), None, "each request is answered once");
        }
        self.appends.extend(effects.appends);
        for markers in &effects.markers {
            self.starts.insert(markers.step, self.current().started_ms);
        }
        self.markers.extend(effects.markers);
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.tickets += 1;
        let effects = self.coordinator.handle("x", request, self.tickets, self.now);
        self.take(effects);
        self.tickets
    }

    fn init(&mut self, expected: Option<ProducerIdentity>) -> Ticket {
        self.fresh_id += 1;
        self.ask(Request::Init { timeout: TIMEOUT, expected, fresh_id: self.fresh_id })
    }

    fn add(&mut self, producer: ProducerIdentity, partition: i32) -> Ticket {
        self.ask(Request::Add { producer, partitions: vec![("t".to_owned(), partition)] })
    }

    fn end(&mut self, producer: ProducerIdentity, is_commit: bool) -> Ticket {
        self.ask(Request::End { producer, is_commit, epoch: EpochChange::Keep })
    }

    fn end_and_bump(&mut self, producer: ProducerIdentity, is_commit: bool) -> Ticket {
        self.fresh_id += 1;
        let epoch = EpochChange::Bump { successor_id: self.fresh_id };
        self.ask(Request::End { producer, is_commit, epoch })
    }

    /// Ends the appends under way; true if there were any.
    fn write(&mut self, outcome: Result<(), ErrorCode>) -> bool {
        let appends = std::mem::take(&mut self.appends);
        let any = !appends.is_empty();
        for append in appends {
            if outcome.is_ok() {
                let Content::Records(records) = &append.content else { unreachable!("records only") };
                let written = records[0].1.as_deref().and_then(|value| records::read_value(value).unwrap());
                if let Some((written, is_commit)) =
                    written.and_then(|t| Some((t.clone(), t.state.prepared()?)))
                {
                    self.remember(written.producer.id, written.started_ms, is_commit);
                }
                self.log.push(append.clone());
            }
            if let Some(step) = append.then {
                let effects = self.coordinator.appended(step, outcome, self.now);
                self.take(effects);
            }
        }
        any
    }

    /// Ends the markers under way; true if there were any.
    fn mark(&mut self, outcome: Result<(), ErrorCode>) -> bool {
        let markers = std::mem::take(&mut self.markers);
        let any = !markers.is_empty();
        for markers in markers {
            if outcome.is_ok() {
                self.keep(markers.clone());
            }
            let effects = self.coordinator.marked(markers.step, outcome, self.now);
            self.take(effects);
        }
        any
    }

    /// A decision is there to be found: it must be the one that was found before.
    fn remember(&mut self, producer_id: i64, started_ms: i64, is_commit: bool) {
        let known = *self.outcomes.entry((producer_id, started_ms)).or_insert(is_commit);
        assert_eq!(known, is_commit, "a decision is never turned round");
    }

    /// The markers are in their partitions.
    fn keep(&mut self, markers: Markers) {
        self.remember(markers.producer.id, self.starts[&markers.step], markers.end.is_commit);
        self.found.push(markers);
    }

    /// As many of the pending markers as a power cut may have kept: all, though nobody knows of them.
    fn leak_markers(&mut self) {
        for markers in std::mem::take(&mut self.markers) {
            self.keep(markers);
        }
    }

    fn settle(&mut self) {
        while self.write(Ok(())) | self.mark(Ok(())) {}
    }

    fn pass(&mut self, time: Duration) {
        self.now.ticks += time;
        self.now.wall_ms += i64::try_from(time.as_millis()).unwrap();
        let effects = self.coordinator.on_timeout(self.now);
        self.take(effects);
        assert!(self.coordinator.next_deadline() > self.now.ticks, "what was due has been done");
    }

    fn producer(&mut self) -> ProducerIdentity {
        let ticket = self.init(None);
        self.settle();
        self.answered[&ticket].unwrap()
    }

    fn restart(&mut self) {
        self.coordinator = TxnCoordinator::new(TxnConfig::default(), self.now);
        self.appends.clear();
        self.markers.clear();
        for append in &self.log {
            let Content::Records(records) = &append.content else { unreachable!("records only") };
            for (key, value) in records {
                self.coordinator.restore_record(key, value.as_deref()).unwrap();
            }
        }
        let open: Vec<_> = self
            .coordinator
            .open_transactions()
            .map(|(_, open)| (open.producer.id, open.started_ms))
            .collect();
        for (producer_id, started_ms) in open {
            let ends = |markers: &&Markers| {
                markers.producer.id == producer_id && markers.end.decided_ms >= started_ms
            };
            if let Some(markers) = self.found.iter().find(ends) {
                let (epoch, end) = (markers.producer.epoch, markers.end);
                let marker = FoundMarker { epoch, is_commit: end.is_commit, decided_ms: end.decided_ms };
                self.coordinator.adopt("x", &("t".to_owned(), 0), marker);
            }
        }
        let effects = self.coordinator.restored(self.now);
        self.take(effects);
    }

    fn current(&self) -> &Transaction {
        &self.coordinator.ids["x"].current
    }
}

#[test]
fn transaction_is_answered_when_its_markers_are_written() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    let added = bench.add(producer, 0);
    assert!(!bench.coordinator.is_participant(producer, "t", 0), "not before the log knows");
    bench.write(Ok(()));
    assert_eq!(bench.answered[&added], Ok(producer));
    assert!(bench.coordinator.is_participant(producer, "t", 0));
    assert!(!bench.coordinator.is_participant(producer, "t", 1));
    let ended = bench.end(producer, true);
    assert!(!bench.coordinator.is_participant(producer, "t", 0), "nothing may be added to what is decided");
    bench.write(Ok(()));
    let markers = bench.markers[0].clone();
    let partitions: BTreeSet<Participant> = [("t".to_owned(), 0)].into();
    assert_eq!((markers.producer, markers.end.is_commit, markers.partitions), (producer, true, partitions));
    assert_eq!(bench.answered.get(&ended), None);
    bench.mark(Ok(()));
    assert_eq!(bench.answered[&ended], Ok(producer));
    let added = bench.add(producer, 1);
    bench.write(Ok(()));
    assert_eq!(bench.answered[&added], Ok(producer), "the next transaction begins without a retry");
    assert_eq!(bench.current().partitions.len(), 1, "and knows nothing of the former");
}

#[test]
fn new_producer_aborts_and_fences_its_predecessor() {
    let mut bench = Bench::new();
    let old = bench.producer();
    bench.add(old, 0);
    bench.settle();
    let ticket = bench.init(None);
    bench.write(Ok(()));
    assert!(!bench.markers[0].end.is_commit);
    bench.settle();
    let new = bench.answered[&ticket].unwrap();
    assert_eq!(
        (new.id, new.epoch),
        (old.id, old.epoch + 2),
        "one epoch for the abort, one for the new producer"
    );
    let refused = bench.end(old, true);
    assert_eq!(bench.answered[&refused], Err(ErrorCode::ProducerFenced));
    let refused = bench.add(ProducerIdentity { id: 1, epoch: 0 }, 0);
    assert_eq!(bench.answered[&refused], Err(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn epoch_bump_is_answered_again_but_not_to_strangers() {
    let mut bench = Bench::new();
    let first = bench.producer();
    let ticket = bench.init(Some(first));
    bench.settle();
    let second = bench.answered[&ticket].unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    let repeated = bench.init(Some(first));
    assert_eq!(bench.answered[&repeated], Ok(second));
    let ticket = bench.init(None);
    bench.settle();
    assert_eq!(bench.answered[&ticket].unwrap().epoch, second.epoch + 1);
    let stranger = bench.init(Some(first));
    assert_eq!(bench.answered[&stranger], Err(ErrorCode::ProducerFenced));
}

#[test]
fn exhausted_epochs_get_a_new_producer_id() {
    let mut bench = Bench::new();
    let first = bench.producer();
    bench.coordinator.ids.get_mut("x").unwrap().current.producer.epoch = i16::MAX - 1;
    let ticket = bench.init(None);
    bench.settle();
    let next = bench.answered[&ticket].unwrap();
    assert_ne!(next.id, first.id);
    assert_eq!(next.epoch, 0);
    assert_eq!((bench.coordinator.id_of(first.id), bench.coordinator.id_of(next.id)), (None, Some("x")));
}

#[test]
fn end_is_answered_again_for_the_same_outcome_only() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    let nothing = bench.end(producer, true);
    assert_eq!(bench.answered[&nothing], Err(ErrorCode::InvalidTxnState));
    bench.add(producer, 0);
    bench.settle();
    bench.end(producer, true);
    bench.settle();
    let (again, other) = (bench.end(producer, true), bench.end(producer, false));
    assert_eq!(bench.answered[&again], Ok(producer));
    assert_eq!(bench.answered[&other], Err(ErrorCode::InvalidTxnState));
}

#[test]
fn epoch_rises_with_each_transaction_where_the_producer_wants_it() {
    let mut bench = Bench::new();
    let first = bench.producer();
    bench.add(first, 0);
    bench.settle();
    let ended = bench.end_and_bump(first, true);
    bench.write(Ok(()));
    let second = ProducerIdentity { epoch: first.epoch + 1, ..first };
    assert_eq!(
        bench.markers[0].producer, second,
        "late records of the former epoch are fenced by the marker"
    );
    bench.settle();
    assert_eq!(bench.answered[&ended], Ok(second));
    let (again, other) = (bench.end_and_bump(first, true), bench.end_and_bump(first, false));
    assert_eq!(bench.answered[&again], Ok(second));
    assert_eq!(bench.answered[&other], Err(ErrorCode::ProducerFenced));
    let nothing = bench.end_and_bump(second, true);
    assert_eq!(bench.answered[&nothing], Err(ErrorCode::InvalidTxnState));
    let nothing = bench.end_and_bump(second, false);
    bench.settle();
    assert_eq!(bench.answered[&nothing].unwrap().epoch, second.epoch + 1);
}

#[test]
fn last_epoch_is_followed_by_a_new_producer_id() {
    let mut bench = Bench::new();
    let first = bench.producer();
    bench.coordinator.ids.get_mut("x").unwrap().current.producer.epoch = i16::MAX - 1;
    let last = ProducerIdentity { epoch: i16::MAX - 1, ..first };
    bench.add(last, 0);
    bench.settle();
    let ended = bench.end_and_bump(last, true);
    bench.write(Ok(()));
    assert_eq!(bench.markers[0].producer, ProducerIdentity { epoch: i16::MAX, ..first });
    bench.settle();
    let next = bench.answered[&ended].unwrap();
    assert_eq!(next, ProducerIdentity { id: bench.fresh_id, epoch: 0 });
}

#[test]
fn transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    bench.add(producer, 0);
    bench.settle();
    bench.pass(TIMEOUT / 2);
    bench.add(producer, 1);
    bench.settle();
    bench.pass(TIMEOUT / 2);
    bench.write(Ok(()));
    assert_eq!(bench.markers.len(), 1, "a partition that joins later does not prolong it");
    assert_eq!(bench.markers[0].producer.epoch, producer.epoch + 1);
    bench.settle();
    let refused = bench.end(producer, true);
    assert_eq!(bench.answered[&refused], Err(ErrorCode::ProducerFenced));
}

#[test]
fn decided_transaction_is_ended_after_a_restart() {
    for is_commit in [true, false] {
        let mut bench = Bench::new();
        let producer = bench.producer();
        bench.add(producer, 0);
        bench.settle();
        bench.end(producer, is_commit);
        bench.write(Ok(()));
        bench.restart();
        assert_eq!((bench.markers[0].end.is_commit, bench.markers[0].partitions.len()), (is_commit, 1));
        bench.settle();
        assert_eq!(bench.current().state.completed(), Some(is_commit));
    }
}

#[test]
fn open_transaction_keeps_what_is_left_of_its_time_over_a_restart() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    bench.add(producer, 0);
    bench.settle();
    bench.pass(TIMEOUT / 2);
    bench.restart();
    assert!(bench.coordinator.is_participant(producer, "t", 0));
    // It began a millisecond after the producer was made.
    bench.pass(TIMEOUT / 2 + Duration::from_millis(1));
    bench.settle();
    assert_eq!(bench.current().state, TransactionState::CompleteAbort);
}

#[test]
fn decision_and_markers_are_one_round() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    bench.add(producer, 0);
    bench.settle();
    let ended = bench.end(producer, true);
    assert_eq!((bench.appends.len(), bench.markers.len()), (1, 1), "nothing waits for the other");
    bench.mark(Ok(()));
    assert_eq!(bench.answered.get(&ended), None, "the decision is not in the log yet");
    bench.write(Ok(()));
    assert_eq!(bench.answered[&ended], Ok(producer));
}

#[test]
fn marker_tells_the_decision_that_the_log_has_lost() {
    for (is_commit, bumps) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bench = Bench::new();
        let producer = bench.producer();
        for _ in 0..2 {
            bench.add(bench.current().producer, 0);
            bench.settle();
            match bumps {
                true => bench.end_and_bump(bench.current().producer, is_commit),
                false => bench.end(producer, is_commit),
            };
            bench.leak_markers();
            bench.restart();
            assert_eq!(bench.markers.len(), 1, "the other partitions get theirs");
            bench.settle();
            assert_eq!(bench.current().state.completed(), Some(is_commit));
            assert_eq!(bench.current().producer.id, producer.id);
        }
        // The marker of the former transaction says nothing of the next one.
        let next = bench.current().producer;
        bench.add(next, 0);
        bench.settle();
        bench.restart();
        assert_eq!((bench.current().state, bench.markers.len()), (TransactionState::Ongoing, 0));
        assert_eq!(next.epoch, producer.epoch + if bumps { 2 } else { 0 });
    }
}

#[test]
fn decision_stands_though_its_record_cannot_be_written() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    bench.add(producer, 0);
    bench.settle();
    let ended = bench.end(producer, true);
    bench.write(Err(ErrorCode::KafkaStorageError));
    assert_eq!(bench.answered[&ended], Err(ErrorCode::CoordinatorNotAvailable));
    bench.mark(Ok(()));
    let other = bench.end(producer, false);
    bench.pass(TIMEOUT);
    assert!(bench.markers.is_empty(), "those that are written are not written again");
    bench.settle();
    assert_eq!(bench.current().state, TransactionState::CompleteCommit);
    assert_eq!(bench.answered[&other], Err(ErrorCode::InvalidTxnState));
}

#[test]
fn transactions_of_one_moment_are_told_apart() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    let mut last_ms = 0;
    for _ in 0..3 {
        bench.now.wall_ms -= 1_000;
        bench.add(producer, 0);
        bench.settle();
        assert!(bench.current().started_ms > last_ms, "even when the clock goes back");
        bench.end(producer, true);
        last_ms = bench.markers[0].end.decided_ms;
        assert!(last_ms >= bench.current().started_ms);
        bench.settle();
    }
}

#[test]
fn markers_that_fail_are_written_later() {
    let mut bench = Bench::new();
    let producer = bench.producer();
    bench.add(producer, 0);
    bench.settle();
    let ended = bench.end(producer, true);
    bench.write(Ok(()));
    bench.mark(Err(ErrorCode::KafkaStorageError));
    assert_eq!(bench.answered[&ended], Err(ErrorCode::CoordinatorNotAvailable));
    let again = bench.end(producer, true);
    bench.pass(Duration::from_secs(1));
    bench.settle();
    assert_eq!(bench.answered[&again], Ok(producer));
}

#[test]
fn waiting_requests_are_bounded_and_time_outs_checked() {
    let mut bench = Bench::new();
    let first = bench.init(None);
    let tickets: Vec<_> = (0..=TxnConfig::default().max_waiting).map(|_| bench.init(None)).collect();
    assert_eq!(bench.answered[tickets.last().unwrap()], Err(ErrorCode::ConcurrentTransactions));
    bench.settle();
    assert_eq!(bench.answered[&first].unwrap().epoch, 0);
    let slow = bench.ask(Request::Init {
        timeout: TxnConfig::default().max_timeout + TIMEOUT,
        expected: None,
        fresh_id: 0,
    });
    assert_eq!(bench.answered[&slow], Err(ErrorCode::InvalidTransactionTimeout));
}

#[test]
fn unused_ids_are_forgotten() {
    let mut bench = Bench::new();
    bench.producer();
    bench.pass(TxnConfig::default().id_retention + Duration::from_secs(1));
    bench.settle();
    assert!(bench.coordinator.ids.is_empty());
    bench.restart();
    assert!(bench.coordinator.ids.is_empty());
}
