//! One application, begun by one program and ended by another: Kafka Streams and this project by turns on the same
//! application id, committed offsets, changelogs and repartition topics.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::TakeoverArguments;
use crate::compare::call;
use crate::load::print;
use crate::suite::{failed, this_program};
use crate::{Broker, Error, Workload};

const POLL: Duration = Duration::from_millis(50);
/// Short, so that the group is free soon after its only member was killed.
const SESSION_MS: &str = "6000";

/// Loads the input, lets one program process about half of it, kills that with SIGKILL, lets the other one go on with
/// the same application id to the end, and checks the output with Kafka Streams' own verifier; then the other way
/// round. Exactly-once, so that every final value must be right. Says whether all were.
///
/// # Errors
/// When a program cannot be run, or does not get on within `--timeout`.
pub fn takeover(arguments: &TakeoverArguments) -> Result<bool, Error> {
    let theirs = arguments.anchor.join("bench");
    let ours = this_program()?;
    let mut all_right = true;
    for workload in &arguments.workloads {
        for (way, first, second) in
            [("kafka-streams to ours", &theirs, &ours), ("ours to kafka-streams", &ours, &theirs)]
        {
            let takeover = Takeover::new(arguments, *workload, way);
            let right = takeover.run(first, second, &theirs, way)?;
            all_right &= right;
        }
    }
    Ok(all_right)
}

struct Takeover<'a> {
    arguments: &'a TakeoverArguments,
    workload: Workload,
    app: String,
}

impl<'a> Takeover<'a> {
    fn new(arguments: &'a TakeoverArguments, workload: Workload, way: &str) -> Self {
        let app = format!("takeover-{workload}-{}-{}", way.replace(' ', "-"), std::process::id());
        Takeover { arguments, workload, app }
    }

    fn run(&self, first: &Path, second: &Path, verifier: &Path, way: &str) -> Result<bool, Error> {
        let broker = Broker::connect(&self.arguments.bootstrap)?;
        let (name, records) = (self.workload.to_string(), self.arguments.records.to_string());
        let common = ["--bootstrap", &self.arguments.bootstrap, "--workload", &name];
        call(&this_program()?, &[&["load"], &common[..], &["--records", &records]].concat())?;
        let mut all = 0;
        for topic in self.workload.inputs() {
            all += broker.ends(topic)?.iter().sum::<i64>();
        }
        let mut running = self.start(first, "first")?;
        let half = self.until("half of the input is committed", &mut running, || {
            Ok(Some(self.committed(&broker)?).filter(|committed| *committed * 2 >= all))
        })?;
        running.kill();
        self.until("the group is empty", &mut running, || {
            Ok(broker.members(&self.app)?.eq(&0).then_some(0))
        })?;
        let mut running = self.start(second, "second")?;
        self.until("the input is committed to its end", &mut running, || {
            Ok(Some(self.committed(&broker)?).filter(|committed| *committed >= all))
        })?;
        // What was sent to a repartition topic may still be on its way.
        let output = format!("{}-out", self.app);
        let verify = [&["verify"], &common[..], &["--records", &records, "--output", &output]].concat();
        let mut answer = String::new();
        let right = self.until("the output is right", &mut running, || match call(verifier, &verify) {
            Ok(_) => Ok(Some(0)),
            Err(fault) => {
                answer = fault.to_string();
                Ok(None)
            }
        });
        running.kill();
        if right.is_err() {
            eprintln!("{answer}");
        }
        print(format_args!(
            "{{\"takeover\":\"{way}\",\"workload\":\"{name}\",\"records\":{all},\"taken_over_at\":{half},\"right\":{}}}",
            right.is_ok()
        ));
        Ok(right.is_ok())
    }

    fn start(&self, program: &Path, which: &str) -> Result<Running, Error> {
        let state: PathBuf = std::env::temp_dir().join(format!("{}-{which}", self.app));
        let session = format!("session.timeout.ms={SESSION_MS}");
        let child = Command::new(program)
            .args(["run", "--bootstrap", &self.arguments.bootstrap, "--workload", &self.workload.to_string()])
            .args(["--app-id", &self.app, "--guarantee", "exactly_once_v2", "--set", &session])
            .arg("--state-dir")
            .arg(&state)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| failed(&program.display().to_string(), source))?;
        Ok(Running { child, state })
    }

    fn committed(&self, broker: &Broker) -> Result<i64, Error> {
        broker.committed(&self.app, self.workload.inputs())
    }

    /// Asks until there is an answer.
    fn until(
        &self,
        what: &str,
        running: &mut Running,
        mut ask: impl FnMut() -> Result<Option<i64>, Error>,
    ) -> Result<i64, Error> {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            let over = began.elapsed().as_secs() >= self.arguments.timeout;
            if over {
                running.kill();
                return Err(Error::Stuck { waiting_for: what.to_owned(), seconds: self.arguments.timeout });
            }
            thread::sleep(POLL);
        }
    }
}

/// One of the two programs, killed at the latest when it is dropped.
struct Running {
    child: Child,
    state: PathBuf,
}

impl Running {
    /// Ends it as a crash would.
    fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.state).ok();
    }
}
