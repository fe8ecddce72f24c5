//! The same workloads by Kafka Streams and by this project, in turn, on one broker.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::arguments::CompareArguments;
use crate::load::print;
use crate::suite::{failed, records_of, this_program, workloads_or_all};
use crate::{Error, Workload};

/// The figures that are set side by side, and whether more is better.
const FIGURES: [(&str, bool); 9] = [
    ("records_per_s", true),
    ("processing_records_per_s", true),
    ("wall_records_per_s", true),
    ("startup_s", false),
    ("close_s", false),
    ("cpu_s", false),
    ("rss_mb", false),
    ("state_mb", false),
    ("broker_cpu_s", false),
];

/// Loads what is not loaded yet, runs each workload by turns, checks the first output of each, and prints the medians
/// with their ratios. Says whether every output was right.
///
/// # Errors
/// When a load or a run fails.
pub fn compare(arguments: &CompareArguments) -> Result<bool, Error> {
    let theirs = arguments.anchor.join("bench");
    let ours = this_program()?;
    let mut all_right = true;
    for workload in workloads_or_all(&arguments.workloads) {
        let records = records_of(workload, arguments.scale).to_string();
        let name = workload.to_string();
        call(
            &ours,
            &["load", "--bootstrap", &arguments.bootstrap, "--workload", &name, "--records", &records],
        )?;
        let (mut their_runs, mut our_runs) = (Vec::new(), Vec::new());
        for repetition in 0..arguments.reps {
            for (who, program, runs) in
                [("kafka-streams", &theirs, &mut their_runs), ("ours", &ours, &mut our_runs)]
            {
                let app = format!("compare-{who}-{name}-{}-{repetition}", std::process::id());
                let (result, right) = run(program, arguments, workload, &app, repetition == 0, &records)?;
                eprintln!("{who}: {result}");
                all_right &= right;
                runs.push(result);
            }
        }
        table(workload, &their_runs, &our_runs);
    }
    Ok(all_right)
}

/// One run; the result, and whether the output was right where it was to be checked.
fn run(
    program: &Path,
    arguments: &CompareArguments,
    workload: Workload,
    app: &str,
    check: bool,
    records: &str,
) -> Result<(Value, bool), Error> {
    let (name, threads) = (workload.to_string(), arguments.threads.to_string());
    let state = std::env::temp_dir().join(app);
    let (state_dir, broker_pid) =
        (state.display().to_string(), arguments.broker_pid.map(|pid| pid.to_string()));
    let mut line =
        vec!["run", "--bootstrap", &arguments.bootstrap, "--workload", &name, "--threads", &threads];
    line.extend(["--guarantee", &arguments.guarantee, "--app-id", app, "--state-dir", &state_dir]);
    if let Some(pid) = &broker_pid {
        line.extend(["--broker-pid", pid]);
    }
    let verifiable = check && workload != Workload::Keys;
    if !verifiable {
        line.push("--cleanup");
    }
    let output = call(program, &line);
    std::fs::remove_dir_all(&state).ok();
    let result = serde_json::from_str(output?.trim()).map_err(|error| Error::Child {
        line: line.join(" "),
        status: error.to_string(),
        output: String::new(),
    })?;
    if !verifiable {
        return Ok((result, true));
    }
    // The counterpart checks both, so that no fault of ours is hidden by our own check.
    let output = format!("{app}-out");
    let verify = [
        "verify",
        "--bootstrap",
        &arguments.bootstrap,
        "--workload",
        &name,
        "--records",
        records,
        "--output",
        &output,
    ];
    let right = match call(&arguments.anchor.join("bench"), &verify) {
        Ok(answer) => {
            eprint!("{answer}");
            true
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    Ok((result, right))
}

/// Runs a program to its end and returns what it prints.
pub(crate) fn call(program: &Path, arguments: &[&str]) -> Result<String, Error> {
    let line = format!("{} {}", program.display(), arguments.join(" "));
    let output = Command::new(program).args(arguments).output().map_err(|source| failed(&line, source))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let output_text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::Child { line, status: output.status.to_string(), output: output_text })
}

fn table(workload: Workload, theirs: &[Value], ours: &[Value]) {
    print(format_args!(
        "\n| {workload}, {} runs | Kafka Streams | ours | ratio |\n|---|---|---|---|",
        ours.len()
    ));
    for (figure, more_is_better) in FIGURES {
        let (Some(their), Some(our)) = (median(theirs, figure), median(ours, figure)) else { continue };
        let (better, worse) = if more_is_better { (our, their) } else { (their, our) };
        let ratio = if worse > 0.0 { format!("{:.2} times", better / worse) } else { "-".to_owned() };
        print(format_args!("| {figure} | {their:.2} | {our:.2} | {ratio} |"));
    }
}

/// The median of a figure over some runs; none where no run has it.
pub(crate) fn median(runs: &[Value], figure: &str) -> Option<f64> {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| run[figure].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[n / 2]),
        n => Some(f64::midpoint(values[n / 2 - 1], values[n / 2])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_median_passes_over_runs_without_the_figure() {
        let runs = [json!({"a": 3.0}), json!({"a": 1}), json!({"b": 9}), json!({"a": 2})];
        assert_eq!(median(&runs, "a"), Some(2.0));
        assert_eq!(median(&runs[..2], "a"), Some(2.0));
        assert_eq!(median(&runs, "c"), None);
    }
}
