//! `flights --json` against a direct computation over the files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use examples::flights::{Line, departures};
use flate2::Compression;
use flate2::write::GzEncoder;

const HEADER: &str = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,\
                      origin,dest,air_time,distance,hour,minute,time_hour\n";

/// Runs the program on a folder; returns the lines that it prints.
fn flights(folder: &Path) -> Vec<Line> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flights"));
    let output = command.args(["--json", "--data"]).arg(folder).output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    let text = String::from_utf8(output.stdout).expect("the output is UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The same result without streams: sums in a map.
fn direct(folder: &Path) -> Vec<Line> {
    let mut sums: BTreeMap<(String, i64), (u64, u64, Vec<f64>)> = BTreeMap::new();
    for departure in departures(folder).expect("the files are readable") {
        let hour = departure.time_hour_ms.div_euclid(3_600_000) * 3_600_000;
        let sum = sums.entry((departure.origin, hour)).or_default();
        sum.0 += 1;
        sum.1 += u64::from(departure.cancelled);
        sum.2.extend(departure.dep_delay_min);
    }
    let line = |((airport, window_start_ms), (flights, cancelled, delays)): (
        (String, i64),
        (u64, u64, Vec<f64>),
    )| Line {
        airport,
        window_start_ms,
        flights,
        cancelled,
        mean_dep_delay_min: (!delays.is_empty()).then(|| delays.iter().sum::<f64>() / delays.len() as f64),
    };
    sums.into_iter().map(line).collect()
}

/// Delays are whole minutes, so sums are exact in any order.
#[test]
fn a_month_equals_the_direct_computation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/flights");
    let (found, expected) = (flights(&folder), direct(&folder));
    assert_eq!(found.iter().map(|line| line.flights).sum::<u64>(), 27_004);
    assert!(found == expected, "{} lines against {} expected", found.len(), expected.len());
}

#[test]
fn another_folder_with_gaps_and_late_rows_is_read_as_well() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let rows = [
        // The next year comes first, a carrier is unknown, one field is empty and one `NA`.
        "2014,1,1,5,2359,6,440,437,3,B6,739,N564,JFK,PSE,200,1617,23,59,2014-01-01T04:00:00Z",
        "2013,6,30,2359,2359,0,440,437,3,ZZ,1,N564,EWR,PSE,200,1617,23,59,2013-07-01T03:00:00Z",
        "2013,6,30,NA,1500,NA,NA,1700,NA,B6,2,NA,EWR,BOS,NA,200,15,0,2013-06-30T19:00:00Z",
        "2013,6,30,,1500,,,1700,,B6,2,,EWR,BOS,,200,15,0,2013-06-30T19:00:00Z",
        "2013,6,30,1455,1500,-5,1650,1700,-10,B6,3,N1,EWR,BOS,40,200,15,0,2013-06-30T19:00:00Z",
        "2013,6,30,1600,1500,60,1750,1700,50,UA,4,N2,EWR,BOS,40,200,15,0,2013-06-30T19:00:00Z",
    ];
    let write = |name: &str, text: String| {
        let file = std::fs::File::create(folder.path().join(name)).expect("the directory is writable");
        let mut encoder = GzEncoder::new(file, Compression::fast());
        encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish().map(drop))
            .expect("the file is writable");
    };
    write("flights-2013-06.csv.gz", format!("{HEADER}{}\n", rows.join("\n")));
    write("airlines.csv.gz", "carrier,name\nB6,JetBlue Airways\nUA,United Air Lines Inc.\n".to_owned());
    let line = |airport: &str, window_start_ms, flights, cancelled, mean_dep_delay_min| Line {
        airport: airport.to_owned(),
        window_start_ms,
        flights,
        cancelled,
        mean_dep_delay_min,
    };
    let expected = [
        line("EWR", 1_372_618_800_000, 4, 2, Some(27.5)),
        line("EWR", 1_372_647_600_000, 1, 0, Some(0.0)),
        line("JFK", 1_388_548_800_000, 1, 0, Some(6.0)),
    ];
    assert_eq!(flights(folder.path()), expected);
}

/// Where a small file system can be mounted: the log server's data fill it up.
#[test]
fn a_full_disk_ends_the_program_soon_and_with_its_reason() {
    let disk = tempfile::tempdir().expect("a temporary directory");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "flights-test"])
        .arg(disk.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: a tmpfs cannot be mounted");
        return;
    }
    let state = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flights"));
    command.args(["--json", "--state-dir"]).arg(state.path()).env("TMPDIR", disk.path());
    let begun = Instant::now();
    let output = command.output().expect("the program starts");
    let took = begun.elapsed();
    let unmounted = Command::new("umount").arg("-l").arg(disk.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    assert!(took < Duration::from_secs(60), "it took {took:?}: {errors}");
    let reason = errors.lines().find(|line| line.starts_with("error: ")).expect("it says why");
    assert!(reason.contains("disk"), "{reason}");
}
