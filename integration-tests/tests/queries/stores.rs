//! Stores are read from outside while their tasks run, move and end: what is answered is right, what cannot be is told.

use std::time::Duration;

use integration_tests::{LIMIT, WordCountScenario, until};
use streams_dsl::query::QueryError;
use streams_dsl::state::Position;
use streams_dsl::stores::{KeyValueStore, QueryKeyValue};
use streams_dsl::{RunningStreams, TopicPartition};

type Counts = KeyValueStore<String, i64>;

async fn count(streams: &RunningStreams, word: &str) -> Result<Option<i64>, QueryError> {
    Ok(streams.store::<Counts>("counts")?.get(&word.to_owned()).await?.value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_are_read_by_key_range_prefix_and_position() {
    let scenario = WordCountScenario::new("queries", 2).await;
    let topics = &scenario.topics;
    let state = tempfile::tempdir().unwrap();
    let streams = scenario.start(scenario.config(state.path())).await;
    topics.send("lines", ["tea milk tea", "team", "milk"].map(str::to_owned)).await;
    until("tea is counted", async || count(&streams, "tea").await.unwrap().filter(|count| *count == 2)).await;
    until("milk is counted", async || count(&streams, "milk").await.unwrap().filter(|count| *count == 2))
        .await;
    assert_eq!(count(&streams, "coffee").await.unwrap(), None);

    let store = streams.store::<Counts>("counts").unwrap();
    let all = until("all words are there", async || {
        let answers = store.all(10).await.unwrap();
        let mut all: Vec<(String, i64)> = answers.into_iter().flat_map(|answer| answer.value).collect();
        all.sort();
        (all.len() == 3).then_some(all)
    });
    let entry = |word: &str, count| (word.to_owned(), count);
    assert_eq!(all.await, [entry("milk", 2), entry("tea", 2), entry("team", 1)]);
    let found = |answers: Vec<streams_dsl::query::Answer<Vec<(String, i64)>>>| {
        let mut words: Vec<String> =
            answers.into_iter().flat_map(|it| it.value).map(|(word, _)| word).collect();
        words.sort();
        words
    };
    assert_eq!(found(store.prefix(b"tea", 10).await.unwrap()), ["tea", "team"]);
    assert_eq!(found(store.range("n".to_owned().."teal".to_owned(), 10).await.unwrap()), ["tea"]);

    // What is asked for at a position that lies ahead is waited for: the next record of the key's partition.
    let before = store.get(&"tea".to_owned()).await.unwrap();
    let words =
        TopicPartition::new(format!("{}-words-repartition", topics.name("app")), before.partition as i32);
    let ahead = Position::default().with(words.clone(), before.position.get(&words).unwrap() + 1);
    let late = store.clone().at_least(ahead.clone(), Duration::from_millis(50)).get(&"tea".to_owned()).await;
    assert!(matches!(late, Err(QueryError::Behind { .. })), "{late:?}");
    let waiting = store.clone().at_least(ahead, LIMIT);
    let tea = "tea".to_owned();
    let (answer, ()) = tokio::join!(waiting.get(&tea), topics.send("lines", ["tea".to_owned()]));
    assert_eq!(answer.unwrap().value, Some(3));
    assert_eq!(store.clone().latest().get(&tea).await.unwrap().value, Some(3));

    // Mistakes are told.
    let absent = streams.store::<Counts>("count").unwrap_err();
    assert!(matches!(&absent, QueryError::UnknownStore { known, .. } if known == &["counts"]), "{absent}");
    let wrong =
        streams.store::<KeyValueStore<String, String>>("counts").unwrap().get(&tea).await.unwrap_err();
    assert!(matches!(wrong, QueryError::WrongType { .. }), "{wrong}");
    let wrong = streams.store::<KeyValueStore<i64, i64>>("counts").unwrap().get(&7).await.unwrap_err();
    assert!(matches!(wrong, QueryError::WrongKey { .. }), "{wrong}");
    let elsewhere = Position::default().with(TopicPartition::new("elsewhere", 0), 1);
    let foreign = store.clone().at_least(elsewhere, LIMIT).get(&tea).await.unwrap_err();
    assert!(matches!(foreign, QueryError::ForeignPosition { .. }), "{foreign}");

    let handle = streams.handle();
    streams.shutdown().await.unwrap();
    let ended = handle.store::<Counts>("counts").unwrap().get(&tea).await.unwrap_err();
    assert!(ended.is_retriable() && matches!(ended, QueryError::NotRunning { .. }), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_with_another_instance_names_it_and_a_standby_answers_where_it_may() {
    const WORDS: usize = 40;
    let scenario = WordCountScenario::new("query-owners", 2).await;
    let topics = &scenario.topics;
    let start = async |server: &str, state: &std::path::Path| {
        let config = scenario.config(state).standby_replicas(1).with("application.server", server);
        scenario.start(config.unwrap()).await
    };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start("first:1", here.path()).await;
    let second = start("second:2", there.path()).await;
    topics.send("lines", (0..WORDS).map(|number| format!("w{number}"))).await;
    until("each has tasks and a copy of the other's", async || {
        let instances = first.handle().instances();
        let settled = instances.len() == 2
            && instances.iter().all(|it| it.active.len() == 2 && it.standby.len() == 1)
            && instances == second.handle().instances();
        settled.then_some(())
    })
    .await;
    for number in 0..WORDS {
        let word = format!("w{number}");
        let stores = [&first, &second].map(|it| it.store::<Counts>("counts").unwrap());
        let metadata = stores[0].metadata_of(&word).unwrap();
        let owner = metadata.active.unwrap().application_server.unwrap();
        assert_eq!(metadata.standbys.len(), 1);
        let (own, other) =
            if owner == "first:1" { (&stores[0], &stores[1]) } else { (&stores[1], &stores[0]) };
        until("the owner answers", async || own.get(&word).await.unwrap().value.filter(|count| *count == 1))
            .await;
        let moved = other.get(&word).await.unwrap_err();
        assert!(matches!(&moved, QueryError::Moved { owner: told, .. } if *told == owner), "{moved}");
        let position = own.get(&word).await.unwrap().position;
        // A copy that contains what the owner's answer stood for gives the same.
        let copy = other.clone().with_standbys().at_least(position, LIMIT).get(&word).await.unwrap();
        assert_eq!((copy.value, copy.standby), (Some(1), true));
    }
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}
