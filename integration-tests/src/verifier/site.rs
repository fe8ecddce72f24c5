//! Where a run takes place: a directory and a broker.

use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::TempDir;

use super::broker_process::BrokerProcess;

/// What may be there already.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteOptions {
    /// A broker that is there (host:port), instead of a log server that is started.
    #[arg(long, env = "KAFKA_BOOTSTRAP")]
    pub bootstrap: Option<String>,
    /// Keeps state, data and logs here, instead of in a temporary directory.
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

/// The site of one run.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) dir: PathBuf,
    /// The broker's address.
    pub(crate) bootstrap: String,
    /// None where one was there already.
    pub(crate) broker: Option<BrokerProcess>,
    // Behind the broker, whose data are in it.
    _temporary: TempDir,
}

impl SiteOptions {
    /// Makes the directory and starts the broker where none was given; `program` is what its process runs.
    ///
    /// # Errors
    /// When the directory cannot be made, or the broker does not start.
    pub(crate) async fn prepare(&self, program: &Path) -> std::io::Result<Site> {
        let temporary = tempfile::tempdir()?;
        let dir = self.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
        std::fs::create_dir_all(&dir)?;
        let (broker, bootstrap) = match &self.bootstrap {
            Some(given) => (None, given.clone()),
            None => {
                let broker = BrokerProcess::start(program, dir.join("broker")).await?;
                let address = broker.address().to_string();
                (Some(broker), address)
            }
        };
        Ok(Site { dir, bootstrap, broker, _temporary: temporary })
    }
}
