//! One run: a broker, two instances that are asked, a third that comes and goes.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::plan::{QueryFigures, QueryPlan};
use super::storm::{ask, expected, word};
use crate::http_client::HttpClient;
use crate::scenario::until;
use crate::topics::Topics;
use crate::verifier::Process;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long an instance may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(60);

struct Instance {
    process: Process,
    address: SocketAddr,
}

/// Runs a plan; `program` is what the processes run.
///
/// # Errors
/// When the run itself cannot go on, which says nothing about the answers.
///
/// # Panics
/// When what must come to be does not within the limit of [`until`].
pub async fn query(plan: &QueryPlan, program: &Path) -> Outcome<QueryFigures> {
    let site = plan.site.prepare(program).await?;
    let topics = Topics::new(&site.bootstrap, "queries");
    let application_id = topics.name("app");
    topics.create("app-lines", plan.partitions).await;
    topics.create("app-counts", 1).await;
    let start = async |number: usize| -> Outcome<Instance> {
        let mut command = Command::new(program);
        command.args(["queried", "--bootstrap", &site.bootstrap, "--application-id", &application_id]);
        command.arg("--state-dir").arg(site.dir.join(format!("state-{number}")));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(site.dir.join(format!("instance-{number}.log")))?;
        let mut process = Process::start(command.stderr(log).stdout(Stdio::piped()))?;
        let address = process.first_line().await?.parse()?;
        Ok(Instance { process, address })
    };
    let client = HttpClient::default();
    let (mut first, mut second) = (start(0).await?, start(1).await?);
    let all_tasks = 2 * usize::try_from(plan.partitions)?;
    until("both have tasks", async || {
        let (one, two) = (tasks(&client, &first).await.ok()?, tasks(&client, &second).await.ok()?);
        (one > 0 && two > 0 && one + two == all_tasks).then_some(())
    })
    .await;
    let line = |number: u64| vec![word(number); expected(number) as usize].join(" ");
    topics.send("app-lines", (0..plan.keys).map(line)).await;
    until("all is counted", async || {
        is_counted(&client, first.address, plan.keys).await.is_ok_and(|whole| whole).then_some(())
    })
    .await;

    let storm = tokio::spawn(ask(plan.clone(), [first.address, second.address], client.clone()));
    let mut rebalances = 0;
    while !storm.is_finished() || rebalances == 0 {
        let mut third = start(2).await?;
        until("the third one has its share", async || {
            (tasks(&client, &third).await.ok()? >= all_tasks / 4).then_some(())
        })
        .await;
        end(&mut third.process).await?;
        until("the others have all tasks again", async || {
            let running = tasks(&client, &first).await.ok()? + tasks(&client, &second).await.ok()?;
            (running == all_tasks).then_some(())
        })
        .await;
        rebalances += 1;
    }
    let mut figures = storm.await?;
    figures.rebalances = rebalances;
    end(&mut second.process).await?;
    end(&mut first.process).await?;
    Ok(figures)
}

/// How many tasks an instance runs.
async fn tasks(client: &HttpClient, instance: &Instance) -> Outcome<usize> {
    let (_, status) = client.get_json(instance.address, "/status").await?;
    let running = |tasks: &Vec<Value>| tasks.iter().filter(|task| task["running"] == true).count();
    Ok(status["tasks"].as_array().map_or(0, running))
}

/// Whether every word's count is committed: from then on each answer is known.
async fn is_counted(client: &HttpClient, server: SocketAddr, keys: u64) -> Outcome<bool> {
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let path = format!("/stores/counts/entries?limit=1000&timeout_ms=10000{cursor}");
        let (status, page) = client.get_json(server, &path).await?;
        let Some(entries) = page["entries"].as_array().filter(|_| status == 200) else { return Ok(false) };
        for entry in entries {
            let number = entry["key"].as_str().and_then(|word| word[1..].parse().ok());
            if number.is_none_or(|number| entry["value"] != expected(number)) {
                return Ok(false);
            }
        }
        seen += entries.len() as u64;
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(seen == keys),
        }
    }
}

async fn end(process: &mut Process) -> Outcome<()> {
    process.signal("TERM")?;
    let status = process.wait(END_LIMIT).await?;
    if status.success() { Ok(()) } else { Err(format!("an instance that was asked to end: {status}").into()) }
}
