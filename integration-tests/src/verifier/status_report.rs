//! What instances say of their tasks, as lines of JSON in a file.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use streams_dsl::StreamsHandle;

/// Between two looks at the status.
const LOOK: Duration = Duration::from_millis(10);

/// What an instance does from a moment on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatusLine {
    /// When it was so, in milliseconds since 1970.
    pub(super) at_ms: i64,
    /// The process.
    pub(super) pid: u32,
    /// The instance's place in its process.
    pub(super) member: usize,
    /// The group's generation.
    pub(super) generation: i32,
    /// Tasks that process records.
    pub(super) running: BTreeSet<String>,
    /// Tasks that are being opened.
    pub(super) opening: usize,
    /// Records that were read back into the stores of its tasks.
    pub(super) restored: u64,
    /// Records that its tasks have dropped.
    pub(super) dropped: u64,
    /// Errors that it remembers, those included that passed by themselves.
    pub(super) errors: usize,
}

/// Writes a line whenever an instance's tasks change, from a thread of its own, until the process ends.
pub(super) fn report(path: &Path, members: Vec<StreamsHandle>) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    std::thread::spawn(move || {
        let mut latest: Vec<StatusLine> = vec![StatusLine::default(); members.len()];
        loop {
            for (member, handle) in members.iter().enumerate() {
                let mut line = look(member, handle);
                line.at_ms = latest[member].at_ms;
                if line != latest[member] {
                    line.at_ms = now_ms();
                    let told = serde_json::to_string(&line).map_err(std::io::Error::from);
                    // Without a reader there is nobody to tell.
                    if told.and_then(|told| writeln!(file, "{told}")).is_err() {
                        return;
                    }
                    latest[member] = line;
                }
            }
            std::thread::sleep(LOOK);
        }
    });
    Ok(())
}

fn look(member: usize, handle: &StreamsHandle) -> StatusLine {
    let status = handle.status();
    let running = status.tasks.iter().filter(|(_, task)| task.running);
    let running: BTreeSet<String> = running.map(|(id, _)| id.to_string()).collect();
    StatusLine {
        at_ms: 0,
        pid: std::process::id(),
        member,
        generation: status.generation,
        opening: status.tasks.len() - running.len(),
        restored: status.tasks.values().map(|task| task.restored_records).sum(),
        dropped: status.tasks.values().map(|task| task.dropped_records).sum(),
        errors: status.errors.len(),
        running,
    }
}

/// All lines of a file, the oldest first; none where it is not there yet.
pub(super) fn lines(path: &Path) -> Vec<StatusLine> {
    let Ok(file) = std::fs::File::open(path) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    // The last line may be half written.
    lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
