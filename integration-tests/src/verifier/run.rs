//! One run: start everything, let it suffer, judge.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use streams_dsl::client::wire::NewTopic;

use super::broker_process::BrokerProcess;
use super::chaos::{Tally, World, rage};
use super::figures::Figures;
use super::fleet::Fleet;
use super::input::feed;
use super::plan::{Fault, Plan};
use super::proxy::Proxy;
use super::readback::Reader;
use super::topology::{DATA, name, outputs};
use super::verdict::judge;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a plan; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on, which says nothing about the application.
pub async fn verify(plan: &Plan, verifier: &Path) -> Outcome<Figures> {
    let begun = Instant::now();
    let temporary = tempfile::tempdir()?;
    let dir = plan.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&dir)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let prefix = format!("verifier-{}-{}", plan.seed, since.as_millis());
    let broker = match &plan.bootstrap {
        Some(_) => None,
        None => Some(BrokerProcess::start(verifier, dir.join("broker")).await?),
    };
    let bootstrap = match (&plan.bootstrap, &broker) {
        (Some(given), _) => given.clone(),
        (None, Some(broker)) => broker.address().to_string(),
        (None, None) => return Err("no broker".into()),
    };
    if broker.is_none() && plan.faults.contains(&Fault::Broker) {
        return Err(
            "a broker that is there already cannot be killed: leave `broker` out of the faults".into()
        );
    }
    let reader = Reader::new(&bootstrap);
    create_topics(&reader, plan, &prefix).await?;
    let mut world = world(plan, verifier, &dir, &bootstrap, &prefix, broker).await?;
    (0..plan.instances).try_for_each(|number| world.fleet.start(number))?;
    let over = Arc::new(AtomicBool::new(false));
    let data: Arc<str> = name(&prefix, DATA).into();
    let feeding = tokio::spawn(feed(bootstrap, Arc::clone(&data), plan.clone(), Arc::clone(&over)));
    let tally = rage(plan, &mut world).await;
    over.store(true, Ordering::Release);
    let (sent, tally) = (feeding.await??, tally?);
    let mut figures = Figures {
        seed: plan.seed,
        program: value_name(plan.program),
        guarantee: plan.guarantee.clone(),
        faults: named(&tally),
        ..Figures::default()
    };
    let patience = Duration::from_secs(plan.patience_s);
    let left = reader.until_caught_up(&format!("{prefix}-app"), &data, patience).await?;
    figures.stuck = !left.is_empty();
    figures.examples = left;
    for number in 0..plan.instances {
        world.fleet.end(number).await?;
    }
    judge(plan, &reader, &prefix, sent, &mut figures).await?;
    figures.failures.append(&mut world.fleet.failures);
    figures.seconds = begun.elapsed().as_secs_f64();
    Ok(figures)
}

async fn world(
    plan: &Plan,
    verifier: &Path,
    dir: &Path,
    bootstrap: &str,
    prefix: &str,
    broker: Option<BrokerProcess>,
) -> Outcome<World> {
    let mut proxies = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..plan.instances {
        if plan.needs_proxy() {
            let proxy = Proxy::start(bootstrap.parse()?).await?;
            addresses.push(proxy.address().to_string());
            proxies.push(proxy);
        } else {
            addresses.push(bootstrap.to_owned());
        }
    }
    let mut sets = vec![
        format!("processing.guarantee={}", plan.guarantee),
        format!("session.timeout.ms={}", plan.session_ms),
        "commit.interval.ms=100".to_owned(),
        // Each update comes out, so that each can be looked at.
        "statestore.cache.max.bytes=0".to_owned(),
    ];
    sets.extend(plan.sets.iter().cloned());
    let logs: PathBuf = dir.to_owned();
    let fleet = Fleet::new(verifier.to_owned(), logs, &addresses, plan.program.into(), prefix, &sets);
    Ok(World { fleet, broker, proxies })
}

async fn create_topics(reader: &Reader, plan: &Plan, prefix: &str) -> Outcome<()> {
    let topics = std::iter::once(DATA).chain(outputs(plan.program).iter().copied());
    let new: Vec<NewTopic> = topics
        // Event times lie in the past; nothing may expire.
        .map(|topic| NewTopic::new(name(prefix, topic), plan.partitions).config("retention.ms", "-1"))
        .collect();
    for (topic, created) in reader.wire().create_topics(&new, false).await? {
        created.map_err(|fault| format!("{topic}: {fault}"))?;
    }
    Ok(())
}

fn named(tally: &Tally) -> std::collections::BTreeMap<String, u64> {
    let faults = Fault::value_variants().iter().map(|fault| (value_name(*fault), tally.0[*fault as usize]));
    faults.filter(|(_, count)| *count > 0).collect()
}

fn value_name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
