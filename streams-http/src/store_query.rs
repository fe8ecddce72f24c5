//! Queries of stores: by key, and of entries in pages.

use std::ops::Bound;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use streams_core::Timestamp;
use streams_core::state::{Position, StoreScan};
use tokio::time::Instant;

use crate::cursor::Cursor;
use crate::encoded::{Base64, Offsets, from_token, offsets, position, to_token};
use crate::error::Refusal;
use crate::partition_read::{Entry, PartitionAnswer, PartitionRead};
use crate::routes::Service;
use crate::shown::Shown;

/// Partitions that one query reads at a time.
const PARTITIONS_AT_A_TIME: usize = 16;
/// Entries of a page unless the query says how many.
const PAGE_ENTRIES: usize = 100;

/// What a query may ask for besides the store and the key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Parameters {
    from: Option<i64>,
    to: Option<i64>,
    as_of: Option<i64>,
    latest: bool,
    standbys: bool,
    position: Option<String>,
    timeout_ms: Option<u64>,
    partition: Option<u32>,
    start: Option<String>,
    end: Option<String>,
    prefix: Option<String>,
    reverse: bool,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `/stores/{store}/keys/{key}`.
pub(crate) async fn key(
    State(service): State<Service>,
    Path((store, key)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let _permit = service.permit()?;
    let shown = Shown(service.partitions.handle.views(&store)?);
    let key = shown.key(&key)?;
    let partition = match parameters.partition {
        Some(partition) => partition,
        None => service.partitions.handle.partition_of(&store, &key)?,
    };
    let mut scan = StoreScan::key(key.clone());
    parameters.limit_times(&mut scan);
    let read = parameters.read(&service, store, partition, &scan)?;
    let answer = service.partitions.read(read, parameters.until(&service)).await?;
    let current = answer.entries.first().filter(|entry| {
        // A version that ceased to hold is not the key's value, unless it is asked for.
        entry.window.is_none() && (parameters.as_of.is_some() || entry.valid_to.is_none())
    });
    let mut body = json!({
        "key": shown.shown_key(&key),
        "found": !answer.entries.is_empty(),
        "value": current.map(|entry| shown.entry(entry)["value"].take()),
        "partition": answer.partition,
        "standby": answer.standby,
        "position": to_token(&answer.at),
    });
    if let Some(timestamp) = current.and_then(|entry| entry.timestamp) {
        body["timestamp"] = timestamp.into();
    }
    let several = answer.entries.len() > 1;
    if several || answer.entries.iter().any(|entry| entry.window.is_some() || entry.valid_to.is_some()) {
        body["entries"] = answer.entries.iter().map(|entry| shown.entry(entry)).collect();
        body["more"] = answer.more.into();
    }
    Ok(Json(body))
}

/// `/stores/{store}/entries`.
pub(crate) async fn entries(
    State(service): State<Service>,
    Path(store): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let _permit = service.permit()?;
    let shown = Shown(service.partitions.handle.views(&store)?);
    let scan = parameters.scan(&shown)?;
    let cursor = parameters.cursor.as_deref().map(Cursor::parse).transpose()?;
    let reads = parameters.reads(&service, &store, &scan, cursor.as_ref())?;
    let until = parameters.until(&service);
    let mut gathered = stream::iter(reads.into_iter().map(|read| service.partitions.read(read, until)))
        .buffered(PARTITIONS_AT_A_TIME);
    let mut answers = Vec::new();
    while let Some(answer) = gathered.next().await {
        // One that is missing would make the page wrong.
        answers.push(answer?);
    }
    let mut reached = Position::default();
    answers.iter().for_each(|answer| reached.merge(&position(answer.at.clone())));
    let standby = answers.iter().any(|answer| answer.standby);
    let limit = parameters.page_entries(&service);
    let (page, next) =
        match answers.iter().flat_map(|answer| &answer.entries).any(|entry| entry.window.is_some()) {
            true => one_after_the_other(answers, limit),
            false => merged(answers, limit, parameters.reverse),
        };
    Ok(Json(json!({
        "store": store,
        "entries": page.iter().map(|entry| shown.entry(entry)).collect::<Vec<_>>(),
        "cursor": next.map(|cursor| cursor.token()),
        "standby": standby,
        "position": to_token(&offsets(&reached)),
    })))
}

impl Parameters {
    fn until(&self, service: &Service) -> Instant {
        let asked = self.timeout_ms.map(Duration::from_millis);
        Instant::now() + asked.unwrap_or(service.options.query_timeout).min(service.options.query_timeout_max)
    }

    fn page_entries(&self, service: &Service) -> usize {
        self.limit.unwrap_or(PAGE_ENTRIES).clamp(1, service.options.page_entries_max)
    }

    fn limit_times(&self, scan: &mut StoreScan) {
        let time = |millis: Option<i64>| millis.or(self.as_of).map(Timestamp::from_millis);
        scan.from = time(self.from).unwrap_or(scan.from);
        scan.to = time(self.to).unwrap_or(scan.to);
    }

    fn scan(&self, shown: &Shown) -> Result<StoreScan, Refusal> {
        let mut scan = match (&self.prefix, &self.start, &self.end) {
            (Some(prefix), None, None) => StoreScan::prefix(prefix.as_bytes()),
            (Some(_), _, _) => return Err(Refusal::bad_request("either a prefix, or start and end")),
            (None, start, end) => {
                let key = |text: &Option<String>| text.as_ref().map(|text| shown.key(text)).transpose();
                let start = key(start)?.map_or(Bound::Unbounded, Bound::Included);
                StoreScan::between((start, key(end)?.map_or(Bound::Unbounded, Bound::Excluded)))
            }
        };
        self.limit_times(&mut scan);
        Ok(scan)
    }

    /// The reads of a page: those partitions that may have something behind the cursor.
    fn reads(
        &self,
        service: &Service,
        store: &str,
        scan: &StoreScan,
        cursor: Option<&Cursor>,
    ) -> Result<Vec<PartitionRead>, Refusal> {
        let stores = service.partitions.handle.stores();
        let count = stores.iter().find(|known| known.name == store).and_then(|known| known.partitions);
        let count = count.ok_or_else(|| Refusal::retriable("not_running", "the topics are not known yet"))?;
        let begin = cursor.and_then(|cursor| cursor.partition);
        let mut reads = Vec::new();
        for partition in 0..count {
            if self.partition.is_some_and(|only| only != partition)
                || begin.is_some_and(|begin| partition < begin)
            {
                continue;
            }
            let mut read = self.read(service, store.to_owned(), partition, scan)?;
            if begin.is_none_or(|begin| begin == partition) {
                read.after = cursor.and_then(|cursor| cursor.after.clone());
            }
            reads.push(read);
        }
        Ok(reads)
    }

    fn read(
        &self,
        service: &Service,
        store: String,
        partition: u32,
        scan: &StoreScan,
    ) -> Result<PartitionRead, Refusal> {
        let at_least = match &self.position {
            Some(token) => from_token::<Offsets>(token)
                .ok_or_else(|| Refusal::bad_request("the position is none of this service"))?,
            None => Vec::new(),
        };
        let bound = |bound: &Bound<Vec<u8>>| bound.as_ref().map(|key| Base64(key.clone()));
        Ok(PartitionRead {
            store,
            partition,
            keys: (bound(&scan.keys.0), bound(&scan.keys.1)),
            from: scan.from.as_millis(),
            to: scan.to.as_millis(),
            backward: self.reverse,
            after: None,
            limit: self.page_entries(service),
            max_bytes: service.options.page_bytes_max,
            latest: self.latest,
            standbys: self.standbys,
            at_least,
            patience_ms: 0,
        })
    }
}

/// The entries of all partitions in the order of their keys. A partition's page that was cut ends the merged one: behind
/// its last key it may have others.
fn merged(answers: Vec<PartitionAnswer>, limit: usize, reverse: bool) -> (Vec<Entry>, Option<Cursor>) {
    let behind = |left: &[u8], right: &[u8]| if reverse { left < right } else { left > right };
    let mut more = false;
    let mut end: Option<Vec<u8>> = None;
    for answer in answers.iter().filter(|answer| answer.more) {
        more = true;
        let Some(last) = answer.entries.last() else { continue };
        if end.as_ref().is_none_or(|end| behind(end, &last.key.0)) {
            end = Some(last.key.0.clone());
        }
    }
    let mut entries: Vec<Entry> = answers.into_iter().flat_map(|answer| answer.entries).collect();
    let gathered = entries.len();
    entries.retain(|entry| end.as_ref().is_none_or(|end| !behind(&entry.key.0, end)));
    entries.sort_by(|left, right| left.key.0.cmp(&right.key.0));
    if reverse {
        entries.reverse();
    }
    entries.truncate(limit);
    more |= entries.len() < gathered;
    let next =
        entries.last().filter(|_| more).map(|last| Cursor { partition: None, after: Some(last.place()) });
    (entries, next)
}

/// The entries of one partition after those of the other, each in its own order.
fn one_after_the_other(answers: Vec<PartitionAnswer>, limit: usize) -> (Vec<Entry>, Option<Cursor>) {
    let mut page: Vec<Entry> = Vec::new();
    for answer in answers {
        let room = limit - page.len();
        let cut = answer.more || answer.entries.len() > room;
        let partition = answer.partition;
        page.extend(answer.entries.into_iter().take(room));
        if cut {
            // Nothing of this partition on the page: the next one begins at its beginning.
            let after = if room == 0 { None } else { page.last().map(Entry::place) };
            return (page, Some(Cursor { partition: Some(partition), after }));
        }
    }
    (page, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(partition: u32, keys: &[&str], more: bool) -> PartitionAnswer {
        let entry = |key: &&str| Entry {
            key: Base64(key.as_bytes().to_vec()),
            window: None,
            value: Base64(Vec::new()),
            timestamp: None,
            valid_to: None,
        };
        let entries = keys.iter().map(entry).collect();
        PartitionAnswer { entries, more, partition, at: Vec::new(), standby: false }
    }

    fn keys(page: &[Entry]) -> Vec<String> {
        page.iter().map(|entry| String::from_utf8(entry.key.0.clone()).unwrap()).collect()
    }

    #[test]
    fn merged_keys_end_where_a_partition_may_have_more() {
        let (page, next) =
            merged(vec![answer(0, &["a", "c"], true), answer(1, &["b", "d"], false)], 10, false);
        assert_eq!(keys(&page), ["a", "b", "c"], "d may come behind something of partition 0");
        assert_eq!(next.unwrap().after.unwrap().key.0, b"c");
        let (page, next) = merged(vec![answer(0, &["a"], false), answer(1, &["b"], false)], 10, false);
        assert_eq!((keys(&page).len(), next), (2, None));
        let (page, next) =
            merged(vec![answer(0, &["d", "b"], false), answer(1, &["c", "a"], false)], 3, true);
        assert_eq!(keys(&page), ["d", "c", "b"]);
        assert!(next.is_some());
    }

    #[test]
    fn partitions_follow_each_other_and_the_cursor_names_the_one_that_was_cut() {
        let answers = || vec![answer(0, &["a", "c"], false), answer(1, &["b", "d"], false)];
        let (page, next) = one_after_the_other(answers(), 3);
        assert_eq!(keys(&page), ["a", "c", "b"]);
        assert_eq!(next.map(|next| (next.partition, next.after.is_some())), Some((Some(1), true)));
        let (_, next) = one_after_the_other(answers(), 2);
        assert_eq!(next, Some(Cursor { partition: Some(1), after: None }));
        assert_eq!(one_after_the_other(answers(), 4).1, None);
    }
}
