//! A full disk: producers get an error, readers go on, and with space again all is well.
//!
//! It needs a small file system: a tmpfs that it mounts itself where that is allowed, else the directory that
//! `LOG_SERVER_SMALL_DISK` names. Without both the scenario says so and ends; `log/tests/failing_disk.rs` plays it
//! through on a simulated disk in any case.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use kafka_protocol::messages::CreateTopicsRequest;

use crate::client::{Client, ServerProcess, batch, create_topic, produce_request, read_all};

/// KAFKA_STORAGE_ERROR.
const STORAGE_ERROR: i16 = 56;

/// A tmpfs of 6 MiB, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where this process may not mount.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "log-server-test"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, as the server may not have gone yet when the scenario fails.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    let mounted = SmallDisk::mount();
    let named = || std::env::var_os("LOG_SERVER_SMALL_DISK").map(PathBuf::from);
    let Some(disk) = mounted.as_ref().map(|disk| disk.0.path().to_owned()).or_else(named) else {
        println!("skipped: a tmpfs cannot be mounted, and LOG_SERVER_SMALL_DISK is not set");
        return;
    };
    let data_dir = disk.join("data");
    let _ = std::fs::remove_dir_all(&data_dir);
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).expect("the ballast fits");
    let server = ServerProcess::start(&data_dir, &[]);
    let mut client = Client::connect(server.address).expect("the server listens");
    create_topic(&mut client, "numbers");
    let mut next = 0u64;
    let mut produce = |client: &mut Client| {
        let response = client.call(&produce_request("numbers", batch(next..next + 10_000, None)), 9);
        let code = response.expect("it is answered").responses[0].partition_responses[0].error_code;
        if code == 0 {
            next += 10_000;
        }
        (code, next)
    };
    let full = std::iter::repeat_with(|| produce(&mut client)).take(10_000).find(|(code, _)| *code != 0);
    let (code, acknowledged) = full.expect("the disk becomes full");
    assert_eq!(code, STORAGE_ERROR);
    assert_eq!(read_all(&mut client, "numbers").len() as u64, acknowledged);
    assert!(client.call(&CreateTopicsRequest::default(), 5).is_ok(), "the server lives");

    std::fs::remove_file(&ballast).expect("the ballast can be removed");
    assert_eq!(produce(&mut client).0, 0, "writes go on");
    let stored = read_all(&mut client, "numbers");
    assert!(stored.iter().enumerate().all(|(at, record)| *record == (at as i64, at as u64)));
    drop(client);
    server.terminate();
}
