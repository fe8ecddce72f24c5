//! The files: CSV, gzip, as described in `examples/data/README.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use streams_dsl::serdes::DefaultSerde;

use super::calendar::utc_ms;
use crate::Result;

const MISSING: &str = "NA";

/// A scheduled departure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DefaultSerde)]
pub struct Departure {
    /// The airline's code.
    pub carrier: String,
    /// The airport that it leaves from.
    pub origin: String,
    /// Whether it never left.
    pub cancelled: bool,
    /// How late it left, in minutes; none where it never did.
    pub dep_delay_min: Option<f64>,
    /// The scheduled hour, in milliseconds since 1970 (UTC).
    pub time_hour_ms: i64,
}

impl Departure {
    /// A departure that is cancelled where it has no delay.
    pub fn new(carrier: &str, origin: &str, dep_delay_min: Option<f64>, time_hour_ms: i64) -> Self {
        let (carrier, origin) = (carrier.to_owned(), origin.to_owned());
        Self { carrier, origin, cancelled: dep_delay_min.is_none(), dep_delay_min, time_hour_ms }
    }
}

#[derive(Deserialize)]
struct Row {
    carrier: String,
    origin: String,
    dep_time: String,
    dep_delay: String,
    time_hour: String,
}

#[derive(Deserialize)]
struct Airline {
    carrier: String,
    name: String,
}

/// All departures of the files `flights-*.csv.gz` of a folder, in the order of the files' names and rows.
///
/// # Errors
/// When the folder has no such file, or one of them does not read as expected; the message names file and row.
pub fn departures(folder: &Path) -> Result<Vec<Departure>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("flights-") && name.ends_with(".csv.gz")
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: no file flights-*.csv.gz", folder.display()).into());
    }
    let mut departures = Vec::new();
    for file in files {
        for (row, number) in rows::<Row>(&file)?.into_iter().zip(2..) {
            departures.push(
                row.departure().map_err(|error| format!("{}, line {number}: {error}", file.display()))?,
            );
        }
    }
    Ok(departures)
}

/// The airlines' names by their codes, from `airlines.csv.gz` of a folder.
///
/// # Errors
/// When the file is missing or does not read as expected.
pub fn airlines(folder: &Path) -> Result<BTreeMap<String, String>> {
    let rows = rows::<Airline>(&folder.join("airlines.csv.gz"))?;
    Ok(rows.into_iter().map(|airline| (airline.carrier, airline.name)).collect())
}

fn rows<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let rows: std::result::Result<_, _> = reader.deserialize().collect();
    rows.map_err(|error| format!("{}: {error}", path.display()).into())
}

impl Row {
    fn departure(self) -> Result<Departure> {
        let delay = present(&self.dep_delay)
            .map(str::parse)
            .transpose()
            .map_err(|error| format!("dep_delay: {error}"))?;
        let cancelled = present(&self.dep_time).is_none();
        Ok(Departure {
            cancelled,
            dep_delay_min: delay.filter(|_| !cancelled),
            time_hour_ms: utc_ms(&self.time_hour)
                .ok_or_else(|| format!("time_hour is `{}`", self.time_hour))?,
            carrier: self.carrier,
            origin: self.origin,
        })
    }
}

fn present(field: &str) -> Option<&str> {
    (!field.is_empty() && field != MISSING).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_is_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/flights");
        let departures = departures(&folder).unwrap();
        assert_eq!(departures.len(), 27_004);
        assert_eq!(departures.iter().filter(|departure| departure.cancelled).count(), 521);
        assert_eq!(airlines(&folder).unwrap()["UA"], "United Air Lines Inc.");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = departures(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("/no/such/folder"), "{error}");
    }
}
