//! Looks at data without serving it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use log_server::{Error, VerifyReport, dump_segment, verify_data_dir};

/// Prints the batches of a segment file.
#[derive(Debug, Args)]
pub(crate) struct Dump {
    /// The `.log` file.
    file: PathBuf,
    /// Print the records as well.
    #[arg(long)]
    records: bool,
}

impl Dump {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        dump_segment(&self.file, self.records, &mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks every batch of a data directory.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The data directory of a server that is stopped.
    data_dir: PathBuf,
}

impl Verify {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let report = verify_data_dir(&self.data_dir)?;
        for (path, fault) in &report.faults {
            println!("{}: {fault}", path.display());
        }
        let VerifyReport { segments, batches, bytes, .. } = report;
        println!(
            "{segments} segments, {batches} sound batches, {bytes} bytes, {} faults",
            report.faults.len()
        );
        Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
