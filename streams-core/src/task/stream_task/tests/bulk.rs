use super::*;

const RECORDS: i64 = 60_000;
const KEYS: i64 = 700;

/// Values of a few hundred keys, some of them deleted now and then.
fn records() -> Vec<OwnedRecord> {
    let record = |offset: i64| {
        let mut record = fetched(offset, offset, &format!("k{}", offset * 31 % KEYS), &offset.to_string());
        if offset % 13 == 0 {
            record.value = None;
        }
        record
    };
    (0..RECORDS).map(record).collect()
}

#[test]
fn a_bulk_load_goes_on_where_a_killed_process_left_it() {
    let config = TaskConfig { max_load_bytes: 300_000, ..never_wait() };
    let records = records();
    for killed_after in [0, 3, 17, 59] {
        let backend: Arc<MapBackend> = Arc::default();
        let mut task = open(appending_topology(&backend), &["in"], config.clone());
        assert_eq!(task.restore_from(0, 0, RECORDS).unwrap(), 0);
        for batch in records.chunks(1_000).take(killed_after) {
            task.restore(0, batch, batch[batch.len() - 1].offset + 1).unwrap();
        }
        let written = task.changelogs()[0].offset.unwrap_or(0);
        assert_eq!(written > 0, killed_after >= 3, "runs are written now and then");
        drop(task);

        let mut task = open(appending_topology(&backend), &["in"], config.clone());
        let next = task.restore_from(0, 0, RECORDS).unwrap();
        assert_eq!(next, written, "what the offset says is in the database");
        for batch in records[next as usize..].chunks(1_000) {
            task.restore(0, batch, batch[batch.len() - 1].offset + 1).unwrap();
        }
        assert_eq!(task.changelogs()[0].offset, Some(RECORDS));
        task.start(NOW, &[]).unwrap();
        let store = task.store_mut::<MapStore>("texts").unwrap();
        for key in 0..KEYS {
            let key = format!("k{key}");
            let last = records.iter().rev().find(|it| it.key.as_deref() == Some(key.as_bytes())).unwrap();
            let expected = last.value.as_ref().map(|_| last.offset.to_string());
            assert_eq!(store.get(&key), expected, "{key}, killed after {killed_after} batches");
        }
    }
}
