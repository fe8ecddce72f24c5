//! Running a workload to the end of its input.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use streams_dsl::{KafkaStreams, RunningStreams, StreamsConfig, StreamsState};

use crate::arguments::RunArguments;
use crate::counters::Counters;
use crate::load::print;
use crate::stalls::{StallWatch, Stalls};
use crate::suite::failed;
use crate::{Broker, Error, Process, live, restore, size_of, topologies, watch};

const POLL: Duration = Duration::from_millis(10);
/// As a process that was killed by SIGKILL.
const KILLED: i32 = 137;

/// Everything that a run knows before it starts.
pub(crate) struct Plan {
    pub(crate) arguments: RunArguments,
    pub(crate) app: String,
    pub(crate) output: String,
    pub(crate) state: PathBuf,
    /// Records of all input topics.
    pub(crate) records: u64,
    /// Those of them that the topology counts.
    counted: u64,
    pub(crate) counters: Arc<Counters>,
}

/// Runs a workload to the end of its input topics and prints one JSON line; live workloads run for a time instead.
///
/// # Errors
/// When a topic is missing, the broker or the streams fail, or --timeout has passed.
pub async fn run(arguments: &RunArguments) -> Result<(), Error> {
    let broker = Broker::connect(&arguments.bootstrap)?;
    let plan = plan(arguments, &broker).await?;
    let topology = topologies::build(
        arguments.workload,
        &plan.output,
        &plan.counters,
        Duration::from_micros(arguments.slow_us),
    )?;
    let streams = KafkaStreams::new(topology, config(&plan)?)?;
    let measure = Measure::begin(arguments);
    let stalls = arguments.stalls.then(|| StallWatch::begin(Arc::clone(&plan.counters)));
    let streams = streams.start().await?;
    if arguments.workload.is_live() {
        return live::follow(&plan, streams).await;
    }
    if arguments.watch {
        return watch::show(&plan, streams).await;
    }
    if arguments.restore {
        return restore::measure(&plan, streams, measure.began).await;
    }
    if let Err(fault) = until_done(&plan, &streams).await {
        streams.shutdown().await?; // says why the streams failed, if they did
        return Err(fault);
    }
    let done = measure.done();
    let stalls = stalls.map(StallWatch::end);
    if arguments.crash_after_commit {
        crash(&plan, &done).await;
    }
    let resident_mb = Process::this().resident_mb();
    streams.shutdown().await?;
    report(&plan, &measure, &done, resident_mb, stalls);
    if arguments.cleanup {
        let prefix = format!("{}-", plan.app);
        let topics = broker.topics()?;
        let mine: Vec<_> =
            topics.keys().filter(|topic| topic.starts_with(&prefix)).map(String::as_str).collect();
        broker.delete(&mine).await?;
        remove(&plan.state)?;
    }
    Ok(())
}

async fn plan(arguments: &RunArguments, broker: &Broker) -> Result<Plan, Error> {
    let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let app = arguments.app_id.clone().unwrap_or_else(|| format!("bench-{}-{now_ms}", arguments.workload));
    let output = format!("{app}-out");
    let (mut records, mut counted, mut partitions) = (0, 0, 0);
    for (place, topic) in arguments.workload.inputs().iter().enumerate() {
        let ends = broker.ends(topic)?;
        let of_topic = ends.iter().sum::<i64>() as u64;
        records += of_topic;
        // The profile table has no counter; its records carry earlier timestamps, so the tasks take them first.
        if *topic != "in-profiles" {
            counted += of_topic;
        }
        if place == 0 {
            partitions = ends.len() as i32;
        }
    }
    if !arguments.restore && !broker.topics()?.contains_key(&output) {
        broker.create(&[&output], partitions).await?;
    }
    let state = arguments.state_dir.clone().unwrap_or_else(|| Path::new("build/state").join(&app));
    if !arguments.keep_state && !arguments.watch {
        remove(&state)?;
    }
    let counters = Arc::default();
    Ok(Plan { arguments: arguments.clone(), app, output, state, records, counted, counters })
}

fn config(plan: &Plan) -> Result<StreamsConfig, Error> {
    let config = StreamsConfig::new(&plan.app, &plan.arguments.bootstrap)
        .threads(plan.arguments.threads)
        .state_dir(&plan.state)
        .with("processing.guarantee", &plan.arguments.guarantee)?;
    plan.arguments.sets.iter().try_fold(config, |config, (key, value)| Ok(config.with(key, value)?))
}

/// Waits until all input has been through the last aggregation.
async fn until_done(plan: &Plan, streams: &RunningStreams) -> Result<(), Error> {
    let began = Instant::now();
    // Twice in a row: between the count of an input record and that of what it sends on lies a moment.
    let mut times_reached = 0;
    while times_reached < 2 {
        tokio::time::sleep(POLL).await;
        times_reached = if plan.counters.reached(plan.counted) { times_reached + 1 } else { 0 };
        check(plan, streams, began)?;
    }
    Ok(())
}

/// # Errors
/// When the streams have ended, or the time is over.
pub(crate) fn check(plan: &Plan, streams: &RunningStreams, began: Instant) -> Result<(), Error> {
    if matches!(streams.state(), StreamsState::Failed | StreamsState::NotRunning) {
        return Err(Error::Ended);
    }
    if began.elapsed().as_secs() >= plan.arguments.timeout {
        return Err(Error::Timeout {
            seconds: plan.arguments.timeout,
            records: plan.counters.input.sum(),
            inner_done: plan.counters.inner_done.sum(),
            inner_sent: plan.counters.inner_sent.sum(),
        });
    }
    Ok(())
}

/// Leaves the state directory as a killed process would.
async fn crash(plan: &Plan, done: &Done) -> ! {
    tokio::time::sleep(Duration::from_millis(plan.arguments.crash_wait_ms)).await;
    print(format_args!(
        "{{\"workload\":\"{}\",\"mode\":\"crash\",\"records\":{},\"seconds\":{:.3},\"state_mb\":{:.1}}}",
        plan.arguments.workload,
        plan.records,
        done.seconds,
        state_mb(plan),
    ));
    std::process::exit(KILLED)
}

pub(crate) fn state_mb(plan: &Plan) -> f64 {
    size_of(&plan.state) as f64 / 1e6
}

fn remove(directory: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(&directory.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

/// Where the clocks stood when the streams were started.
struct Measure {
    began: Instant,
    cpu: f64,
    broker: Option<Process>,
    broker_cpu: f64,
}

/// What had been used when the input was through.
struct Done {
    at: Instant,
    seconds: f64,
    cpu: f64,
    broker_cpu: f64,
}

impl Measure {
    fn begin(arguments: &RunArguments) -> Self {
        let broker = arguments.broker_pid.map(Process::with_id);
        let broker_cpu = broker.as_ref().map_or(0.0, Process::cpu_seconds);
        Self { began: Instant::now(), cpu: Process::this().cpu_seconds(), broker, broker_cpu }
    }

    fn done(&self) -> Done {
        Done {
            at: Instant::now(),
            seconds: self.began.elapsed().as_secs_f64(),
            cpu: Process::this().cpu_seconds() - self.cpu,
            broker_cpu: self.broker.as_ref().map_or(0.0, Process::cpu_seconds) - self.broker_cpu,
        }
    }
}

fn report(plan: &Plan, measure: &Measure, done: &Done, resident_mb: i64, stalls: Option<Stalls>) {
    let RunArguments { workload, guarantee, threads, sets, .. } = &plan.arguments;
    let records = plan.records as f64;
    let first = plan.counters.first().unwrap_or(done.at);
    let (startup, processing) =
        (first.duration_since(measure.began), done.at.duration_since(first).as_secs_f64());
    let protocol =
        sets.iter().rfind(|(key, _)| key == "group.protocol").map_or("classic", |(_, value)| value);
    let broker = measure.broker.as_ref().map_or_else(String::new, |broker| {
        format!(",\"broker_cpu_s\":{:.2},\"broker_rss_mb\":{}", done.broker_cpu, broker.resident_mb())
    });
    let stalls = stalls.map_or_else(String::new, |stalls| {
        format!(",\"stall_p99_ms\":{:.1},\"stall_max_ms\":{:.1}", stalls.p99_ms, stalls.max_ms)
    });
    print(format_args!(
        "{{\"workload\":\"{workload}\",\"guarantee\":\"{guarantee}\",\"threads\":{threads},\"protocol\":\"{protocol}\",\
         \"records\":{},\"seconds\":{:.3},\"records_per_s\":{:.0},\"startup_s\":{:.3},\"processing_s\":{processing:.3},\
         \"processing_records_per_s\":{:.0},\"close_s\":{:.3},\"wall_records_per_s\":{:.0},\"output_records\":{},\"rss_mb\":{resident_mb},\
         \"peak_rss_mb\":{},\"cpu_s\":{:.2},\"state_mb\":{:.1}{stalls}{broker}}}",
        plan.records,
        done.seconds,
        records / done.seconds,
        startup.as_secs_f64(),
        records / processing,
        done.at.elapsed().as_secs_f64(),
        records / measure.began.elapsed().as_secs_f64(),
        plan.counters.output.sum(),
        Process::this().peak_resident_mb(),
        done.cpu,
        state_mb(plan),
    ));
}
