//! What a process has used so far, from Linux's /proc.

use std::fs;
use std::path::Path;

/// The tick of the CPU times in /proc: Linux reports in hundredths of a second on every platform.
const TICKS_PER_SECOND: f64 = 100.0;
const FIRST_FIELD_AFTER_NAME: usize = 3;

/// A process, by its id or itself.
#[derive(Debug, Clone)]
pub struct Process(String);

impl Process {
    /// This process.
    pub fn this() -> Self {
        Self("self".to_owned())
    }

    /// The process with an id.
    pub fn with_id(id: u32) -> Self {
        Self(id.to_string())
    }

    /// CPU seconds in user and kernel mode; 0 where there is no /proc.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        // The name, in parentheses, may hold spaces and parentheses itself.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize| -> f64 {
            let text = after_name.split_whitespace().nth(number - FIRST_FIELD_AFTER_NAME);
            text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
        };
        (field(14) + field(15)) / TICKS_PER_SECOND
    }

    /// Resident memory now, in MiB; -1 where there is no /proc.
    pub fn resident_mb(&self) -> i64 {
        self.status_mb("VmRSS:")
    }

    /// The most resident memory so far, in MiB; -1 where there is no /proc.
    pub fn peak_resident_mb(&self) -> i64 {
        self.status_mb("VmHWM:")
    }

    fn status_mb(&self, field: &str) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<i64>().ok());
        kib.map_or(-1, |kib| kib / 1024)
    }
}

/// Bytes of all files below a directory; 0 where it is not there.
pub fn size_of(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0, // deleted meanwhile
        })
        .sum()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let process = Process::with_id(std::process::id());
        let mut sum = 0_u64;
        let began = std::time::Instant::now();
        while process.cpu_seconds() == 0.0 && began.elapsed().as_secs() < 30 {
            sum = std::hint::black_box((0..100_000_u64).fold(sum, u64::wrapping_add));
        }
        assert!(process.cpu_seconds() > 0.0);
        assert!(process.resident_mb() > 0 && process.peak_resident_mb() >= Process::this().resident_mb());
    }
}
