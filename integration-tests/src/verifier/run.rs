//! One run: start everything, let it suffer, judge.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use streams_dsl::client::wire::NewTopic;

use super::chaos::{Tally, World, rage};
use super::figures::Figures;
use super::fleet::{Fleet, settings};
use super::input::feed;
use super::plan::{Fault, Plan};
use super::proxy::Proxy;
use super::readback::Reader;
use super::site::Site;
use super::topology::{DATA, name, outputs};
use super::verdict::judge;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a plan; `verifier` is the program that the processes run.
///
/// # Errors
/// When the run itself cannot go on, which says nothing about the application.
pub async fn verify(plan: &Plan, verifier: &Path) -> Outcome<Figures> {
    let begun = Instant::now();
    let mut site = plan.site.prepare(verifier).await?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let prefix = format!("verifier-{}-{}", plan.seed, since.as_millis());
    if site.broker.is_none() && plan.faults.contains(&Fault::Broker) {
        return Err(
            "a broker that is there already cannot be killed: leave `broker` out of the faults".into()
        );
    }
    let reader = Reader::new(&site.bootstrap);
    create_topics(&reader, plan, &prefix).await?;
    let mut world = world(plan, verifier, &mut site, &prefix).await?;
    (0..plan.instances).try_for_each(|number| world.fleet.start(number))?;
    let over = Arc::new(AtomicBool::new(false));
    let data: Arc<str> = name(&prefix, DATA).into();
    let feeding =
        tokio::spawn(feed(site.bootstrap.clone(), Arc::clone(&data), plan.clone(), Arc::clone(&over)));
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

/// The processes, and the site's broker, which may be killed as well.
async fn world(plan: &Plan, verifier: &Path, site: &mut Site, prefix: &str) -> Outcome<World> {
    let mut proxies = Vec::new();
    let mut addresses = Vec::new();
    for _ in 0..plan.instances {
        if plan.needs_proxy() {
            let proxy = Proxy::start(site.bootstrap.parse()?).await?;
            addresses.push(proxy.address().to_string());
            proxies.push(proxy);
        } else {
            addresses.push(site.bootstrap.clone());
        }
    }
    let sets = settings(&plan.guarantee, plan.session_ms, &plan.sets);
    let dir = site.dir.clone();
    let fleet = Fleet::new(verifier.to_owned(), dir, &addresses, plan.program.into(), prefix, &sets);
    Ok(World { fleet, broker: site.broker.take(), proxies })
}

async fn create_topics(reader: &Reader, plan: &Plan, prefix: &str) -> Outcome<()> {
    let topics = std::iter::once(DATA).chain(outputs(plan.program).iter().copied());
    let new: Vec<NewTopic> = topics
        // Event times lie in the past; nothing may expire.
        .map(|topic| NewTopic::new(name(prefix, topic), plan.partitions).config("retention.ms", "-1"))
        .collect();
    reader.create_topics(&new).await
}

fn named(tally: &Tally) -> std::collections::BTreeMap<String, u64> {
    let faults = Fault::value_variants().iter().map(|fault| (value_name(*fault), tally.0[*fault as usize]));
    faults.filter(|(_, count)| *count > 0).collect()
}

fn value_name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
