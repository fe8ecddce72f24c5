//! The processes of the application.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;

use super::application::{Application, ApplicationOptions};
use super::process::Process;
use super::status_report::{StatusLine, lines};

/// How long an instance may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(60);

/// An instance may take so long until it hears signals.
const START_MAX: Duration = Duration::from_secs(10);
const SIGTERM: i32 = 15;

/// What every application of the verifier is told, and then what this run says.
pub(super) fn settings(guarantee: &str, session_ms: u64, sets: &[String]) -> Vec<String> {
    let mut settings = vec![
        format!("processing.guarantee={guarantee}"),
        format!("session.timeout.ms={session_ms}"),
        "commit.interval.ms=100".to_owned(),
        // Each update comes out, so that each can be looked at.
        "statestore.cache.max.bytes=0".to_owned(),
    ];
    settings.extend(sets.iter().cloned());
    settings
}

/// The instances of an application, each with a state directory and a log of its own.
#[derive(Debug)]
pub(super) struct Fleet {
    verifier: PathBuf,
    dir: PathBuf,
    instances: Vec<Instance>,
    /// Instances that ended by themselves, and how.
    pub(super) failures: Vec<String>,
}

#[derive(Debug)]
struct Instance {
    options: ApplicationOptions,
    process: Option<Process>,
}

impl Fleet {
    /// A fleet whose instances reach the broker by these addresses; none runs yet.
    pub(super) fn new(
        verifier: PathBuf,
        dir: PathBuf,
        addresses: &[String],
        application: Application,
        prefix: &str,
        sets: &[String],
    ) -> Self {
        let options = |(number, address): (usize, &String)| ApplicationOptions {
            application,
            bootstrap: address.clone(),
            application_id: format!("{prefix}-app"),
            prefix: prefix.to_owned(),
            state_dir: dir.join(format!("state-{number}")),
            sets: sets.to_vec(),
            members: 1,
            report: None,
        };
        let instances = addresses.iter().enumerate().map(options);
        let instances = instances.map(|options| Instance { options, process: None }).collect();
        Fleet { verifier, dir, instances, failures: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }

    /// Has an instance tell what its tasks do.
    pub(super) fn reporting(mut self) -> Self {
        for (number, instance) in self.instances.iter_mut().enumerate() {
            instance.options.report = Some(self.dir.join(format!("instance-{number}.status")));
        }
        self
    }

    /// Gives one instance a setting of its own, as key=value.
    pub(super) fn set(&mut self, number: usize, setting: String) {
        self.instances[number].options.sets.push(setting);
    }

    /// Lets a process run several members of the group.
    pub(super) fn set_members(&mut self, number: usize, members: usize) {
        self.instances[number].options.members = members;
    }

    /// What the members of the running process last said, by their places.
    pub(super) fn status(&self, number: usize) -> Vec<StatusLine> {
        let instance = &self.instances[number];
        let Some((process, report)) = instance.process.as_ref().zip(instance.options.report.as_ref()) else {
            return Vec::new();
        };
        let mut latest: Vec<StatusLine> = Vec::new();
        for line in lines(report).into_iter().filter(|line| line.pid == process.id()) {
            latest.resize(latest.len().max(line.member + 1), StatusLine::default());
            let member = line.member;
            latest[member] = line;
        }
        latest
    }

    /// The id of an instance's process, while it runs.
    pub(super) fn pid(&self, number: usize) -> Option<u32> {
        self.instances[number].process.as_ref().map(Process::id)
    }

    /// Asks an instance to end, and does not wait for it: once only, for a second signal ends it at once.
    pub(super) fn ask_to_end(&self, number: usize) -> std::io::Result<()> {
        self.signal(number, "TERM")
    }

    pub(super) fn is_running(&self, number: usize) -> bool {
        self.instances[number].process.is_some()
    }

    /// Starts an instance, unless it runs.
    pub(super) fn start(&mut self, number: usize) -> std::io::Result<()> {
        let instance = &mut self.instances[number];
        if instance.process.is_some() {
            return Ok(());
        }
        fs::create_dir_all(&self.dir)?;
        let log = self.dir.join(format!("instance-{number}.log"));
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let options = &instance.options;
        let application = options.application.to_possible_value();
        let application = application.map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut command = Command::new(&self.verifier);
        command.args(["app", "--application", &application, "--bootstrap", &options.bootstrap]);
        command.args(["--application-id", &options.application_id, "--prefix", &options.prefix]);
        command.args(["--members", &options.members.to_string()]);
        command.arg("--state-dir").arg(&options.state_dir);
        if let Some(report) = &options.report {
            command.arg("--report").arg(report);
        }
        for set in &options.sets {
            command.args(["--set", set]);
        }
        instance.process = Some(Process::start(command.stderr(log.try_clone()?).stdout(log))?);
        Ok(())
    }

    /// Kills an instance.
    pub(super) fn kill(&mut self, number: usize) -> std::io::Result<()> {
        self.instances[number].process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Stops an instance, or lets a stopped one go on.
    pub(super) fn signal(&self, number: usize, signal: &str) -> std::io::Result<()> {
        self.instances[number].process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Asks an instance to end, and waits until it has.
    pub(super) async fn end(&mut self, number: usize) -> std::io::Result<()> {
        self.ask_to_end(number)?;
        self.has_ended(number).await
    }

    /// Waits until an instance that was asked to end has done so.
    pub(super) async fn has_ended(&mut self, number: usize) -> std::io::Result<()> {
        let Some(mut process) = self.instances[number].process.take() else { return Ok(()) };
        match process.wait(END_LIMIT).await {
            Ok(status) if status.success() => {}
            // Before it was started nothing hears the signal, and nothing is to be drained.
            Ok(status) if status.signal() == Some(SIGTERM) && process.age() < START_MAX => {}
            Ok(status) => self.failures.push(format!("instance {number}, asked to end: {status}")),
            Err(error) => self.failures.push(format!("instance {number}, asked to end: {error}")),
        }
        Ok(())
    }

    /// Notes instances that have ended by themselves, and starts them again.
    pub(super) fn revive(&mut self) -> std::io::Result<()> {
        for number in 0..self.instances.len() {
            let Some(process) = &mut self.instances[number].process else { continue };
            if let Some(status) = process.ended()? {
                self.failures.push(format!("instance {number} ended by itself: {status}"));
                self.instances[number].process = None;
                self.start(number)?;
            }
        }
        Ok(())
    }
}
