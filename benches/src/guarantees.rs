//! What exactly-once costs: the same workload with either guarantee, in turn, on one broker.

use serde_json::{Value, json};

use crate::arguments::GuaranteeArguments;
use crate::compare::{call, median};
use crate::load::print;
use crate::suite::{Server, this_program};
use crate::{Error, Workload};

const GUARANTEES: [&str; 2] = ["at_least_once", "exactly_once_v2"];

/// Runs each workload with both guarantees by turns and the same commit interval, and prints one JSON line for each; says whether all reach the share.
///
/// # Errors
/// When the broker cannot be started or a run fails.
pub fn guarantees(arguments: &GuaranteeArguments) -> Result<bool, Error> {
    let server = match arguments.bootstrap {
        Some(_) => None,
        None => Some(Server::start()?),
    };
    let own = || server.as_ref().map(|server| server.address.clone());
    let bootstrap = arguments.bootstrap.clone().or_else(own).unwrap_or_default();
    let mut all = true;
    for workload in &arguments.workloads {
        all &= compare(arguments, &bootstrap, *workload)?;
    }
    Ok(all)
}

fn compare(arguments: &GuaranteeArguments, bootstrap: &str, workload: Workload) -> Result<bool, Error> {
    let program = this_program()?;
    let (name, records) = (workload.to_string(), arguments.records.to_string());
    let common = ["--bootstrap", bootstrap, "--workload", &name];
    call(&program, &[&["load"], &common[..], &["--records", &records]].concat())?;
    let interval = format!("commit.interval.ms={}", arguments.commit_interval_ms);
    let mut runs: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    for repetition in 0..arguments.reps {
        for (guarantee, runs) in GUARANTEES.iter().zip(&mut runs) {
            let app = format!("guarantees-{name}-{}-{repetition}-{guarantee}", std::process::id());
            let state = std::env::temp_dir().join(&app);
            let state_dir = state.display().to_string();
            let mut line = [&["run"], &common[..], &["--guarantee", guarantee, "--app-id", &app]].concat();
            line.extend(["--set", &interval, "--state-dir", &state_dir, "--cleanup", "--stalls"]);
            let output = call(&program, &line);
            std::fs::remove_dir_all(&state).ok();
            let output = output?;
            let answer = serde_json::from_str(output.trim()).map_err(|error| Error::Child {
                line: line.join(" "),
                status: error.to_string(),
                output: output.clone(),
            })?;
            runs.push(answer);
        }
    }
    let [at_least, exactly] = &runs;
    let of = |runs: &[Value], figure: &str| median(runs, figure).unwrap_or_default();
    let figure = "processing_records_per_s";
    let share = of(exactly, figure) / of(at_least, figure);
    let right = share >= arguments.share;
    let side = |runs: &[Value]| {
        json!({
            figure: of(runs, figure),
            "cpu_s": of(runs, "cpu_s"),
            "stall_p99_ms": of(runs, "stall_p99_ms"),
            "stall_max_ms": of(runs, "stall_max_ms"),
        })
    };
    let line = json!({
        "workload": name,
        "records": arguments.records,
        "reps": arguments.reps,
        "commit_interval_ms": arguments.commit_interval_ms,
        "at_least_once": side(at_least),
        "exactly_once_v2": side(exactly),
        "share": share,
        "right": right,
    });
    print(format_args!("{line}"));
    Ok(right)
}
