//! Group commit: which logs are synced, and how often.

use std::sync::mpsc::Receiver;

use super::*;
use crate::log::Syncer;

fn open_by_hand(directory: &Path) -> (Arc<PartitionLog>, Receiver<Arc<PartitionLog>>) {
    let config = Arc::new(TopicConfig::new(BTreeMap::new(), Arc::default()).unwrap());
    let (syncer, requests) = Syncer::by_hand();
    let options = LogOptions {
        fsync: FsyncPolicy::Always,
        syncer,
        ..LogOptions::system(FsyncPolicy::Never, None).unwrap()
    };
    let opening = (OpenMode::Clean, 0);
    let log = PartitionLog::open("topic".into(), 0, directory.to_owned(), config, options, opening).unwrap();
    (log, requests)
}

#[test]
fn appends_share_a_sync_and_what_comes_later_gets_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (log, requests) = open_by_hand(directory.path());
    for offset in 0..3 {
        append(&log, &batch(&["value"], offset)).unwrap();
        log.request_sync();
    }
    assert_eq!((requests.try_iter().count(), log.watermarks().high), (1, 0));
    log.sync();
    assert_eq!(log.watermarks().high, 3);
    append(&log, &batch(&["value"], 3)).unwrap();
    assert_eq!(requests.try_iter().count(), 0, "nobody has asked");
    log.sync_what_was_left();
    assert_eq!(requests.try_iter().count(), 1);
    log.sync();
    log.sync_what_was_left();
    assert_eq!((requests.try_iter().count(), log.watermarks().high), (0, 4), "nothing was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_of_many_logs_all_hear_of_their_syncs() {
    const LOGS: usize = 6;
    const WRITERS: usize = 4;
    const APPENDS: usize = 25;
    let directory = tempfile::tempdir().unwrap();
    let options = LogOptions::system(FsyncPolicy::Always, None).unwrap();
    let config = Arc::new(
        TopicConfig::new(BTreeMap::from([("segment.bytes".to_owned(), "1000".to_owned())]), Arc::default())
            .unwrap(),
    );
    let open = |number: usize| {
        let path = directory.path().join(number.to_string());
        let opening = (OpenMode::Clean, 0);
        PartitionLog::open("topic".into(), 0, path, Arc::clone(&config), options.clone(), opening).unwrap()
    };
    let logs: Vec<_> = (0..LOGS).map(open).collect();
    let mut writers = tokio::task::JoinSet::new();
    for log in logs.iter().flat_map(|log| std::iter::repeat_n(log, WRITERS)) {
        let log = Arc::clone(log);
        writers.spawn(async move {
            for _ in 0..APPENDS {
                let batch = batch(&["value"], 0);
                let appended = log.append(BatchHeader::parse(&batch).unwrap(), &batch).unwrap();
                log.request_sync();
                log.wait_durable(appended.end_offset).await.unwrap();
            }
        });
    }
    let all = async { while writers.join_next().await.transpose().unwrap().is_some() {} };
    tokio::time::timeout(std::time::Duration::from_secs(60), all).await.expect("every sync is told of");
    assert!(logs.iter().all(|log| log.watermarks().high == (WRITERS * APPENDS) as i64));
    options.syncer.stop();
}
