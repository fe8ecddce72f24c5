//! What is computed: departures of an airport in an hour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streams_dsl::serdes::DefaultSerde;

use super::{Departure, utc_minute};
use crate::{LastValues, Result};

/// How many of the last hours the picture of an airport shows.
const PICTURE_HOURS: usize = 24;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A departure with its airline's name.
#[derive(Debug, Clone, Serialize, Deserialize, DefaultSerde)]
pub struct NamedDeparture {
    /// The departure.
    pub departure: Departure,
    /// The airline's name; its code where the name is not known.
    pub airline: String,
}

/// The departures of one airport in one hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DefaultSerde)]
pub struct Hour {
    flights: u64,
    cancelled: u64,
    delayed: u64,
    delay_sum_min: f64,
    by_airline: BTreeMap<String, u64>,
}

/// The result for one airport and hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The airport's code.
    pub airport: String,
    /// The scheduled hour, in milliseconds since 1970 (UTC).
    pub window_start_ms: i64,
    /// Scheduled departures.
    pub flights: u64,
    /// Those that never left.
    pub cancelled: u64,
    /// How late the others left on average, in minutes; none where all were cancelled.
    pub mean_dep_delay_min: Option<f64>,
}

impl Hour {
    /// The hour with one more departure.
    #[must_use]
    pub fn with(mut self, named: &NamedDeparture) -> Self {
        self.flights += 1;
        self.cancelled += u64::from(named.departure.cancelled);
        if let Some(delay_min) = named.departure.dep_delay_min {
            self.delayed += 1;
            self.delay_sum_min += delay_min;
        }
        *self.by_airline.entry(named.airline.clone()).or_default() += 1;
        self
    }

    /// The result for this hour, which lies at `airport` and begins at `window_start_ms`.
    pub fn line(&self, airport: &str, window_start_ms: i64) -> Line {
        Line {
            airport: airport.to_owned(),
            window_start_ms,
            flights: self.flights,
            cancelled: self.cancelled,
            mean_dep_delay_min: (self.delayed > 0).then(|| self.delay_sum_min / self.delayed as f64),
        }
    }
}

/// The hours of some airports, as they come, for people.
#[derive(Debug, Clone)]
pub struct Days(Vec<(String, BTreeMap<i64, Hour>)>);

impl Days {
    /// Of these airports, in this order.
    pub fn of(airports: impl IntoIterator<Item = String>) -> Self {
        Days(airports.into_iter().map(|airport| (airport, BTreeMap::new())).collect())
    }

    /// Takes a record of the output topic; answers with the place of its airport and that airport's new line. None where the
    /// airport is none of these, or the record cannot be read.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> Option<(usize, String)> {
        let (airport, start) = split_key(key)?;
        let place = self.0.iter().position(|(it, _)| *it == airport)?;
        let (airport, hours) = self.0.get_mut(place)?;
        hours.insert(start, serde_json::from_slice(value).ok()?);
        Some((place, describe(airport, hours)))
    }
}

/// The newest of an airport's hours, and a picture of the last day.
fn describe(airport: &str, hours: &BTreeMap<i64, Hour>) -> String {
    let Some((start, hour)) = hours.last_key_value() else { return String::new() };
    let line = hour.line(airport, *start);
    let most = hour.by_airline.iter().max_by_key(|(_, flights)| **flights);
    let (airline, flights) = most.map_or(("", 0), |(airline, flights)| (airline.as_str(), *flights));
    format!(
        "{airport}  {}  {:>3} flights  {:>2} cancelled  mean delay {:>6.1} min  {}  most by {airline} ({flights})",
        utc_minute(*start),
        line.flights,
        line.cancelled,
        line.mean_dep_delay_min.unwrap_or_default(),
        picture(hours),
    )
}

/// The results in the values of the output topic, by airport and hour.
///
/// # Errors
/// When a key or a value is not one of the topology's.
pub fn lines(values: &LastValues) -> Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(values.len());
    for (key, value) in values {
        let (airport, start) = split_key(key).ok_or("a key without a window")?;
        lines.push(serde_json::from_slice::<Hour>(value)?.line(&airport, start));
    }
    lines.sort_by(|left, right| {
        (&left.airport, left.window_start_ms).cmp(&(&right.airport, right.window_start_ms))
    });
    Ok(lines)
}

/// The airport and the start of the window in a key, which Kafka Streams writes one behind the other.
pub fn split_key(key: &[u8]) -> Option<(String, i64)> {
    let (airport, start) = key.split_last_chunk::<8>()?;
    Some((String::from_utf8(airport.to_vec()).ok()?, i64::from_be_bytes(*start)))
}

/// A bar for the flights of each of the last hours, also of those without any.
fn picture(hours: &BTreeMap<i64, Hour>) -> String {
    let newest = hours.last_key_value().map_or(0, |(start, _)| *start);
    let highest = hours.values().map(|hour| hour.flights).max().unwrap_or(1).max(1);
    let starts = (0..PICTURE_HOURS as i64).rev().map(|back| newest - back * 3_600_000);
    starts
        .map(|start| match hours.get(&start) {
            Some(hour) => BARS[(hour.flights as usize * (BARS.len() - 1)) / highest as usize],
            None => ' ',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(dep_delay_min: Option<f64>) -> NamedDeparture {
        NamedDeparture {
            departure: Departure::new("UA", "EWR", dep_delay_min, 3_600_000),
            airline: "United".into(),
        }
    }

    #[test]
    fn the_mean_is_over_flights_that_left() {
        let hour = [Some(-4.0), None, Some(10.0)]
            .into_iter()
            .map(departure)
            .fold(Hour::default(), |hour, it| hour.with(&it));
        let line = hour.line("EWR", 3_600_000);
        assert_eq!((line.flights, line.cancelled, line.mean_dep_delay_min), (3, 1, Some(3.0)));
        let none_left = Hour::default().with(&departure(None)).line("EWR", 0);
        let json =
            r#"{"airport":"EWR","window_start_ms":0,"flights":1,"cancelled":1,"mean_dep_delay_min":null}"#;
        assert_eq!(serde_json::to_string(&none_left).unwrap(), json);
    }

    #[test]
    fn the_newest_hour_is_described() {
        let mut days = Days::of(["EWR".to_owned(), "JFK".to_owned()]);
        let mut update = |airport: &str, start: i64, delays: &[Option<f64>]| {
            let hour = delays.iter().fold(Hour::default(), |hour, delay| hour.with(&departure(*delay)));
            let key = [airport.as_bytes(), &start.to_be_bytes()].concat();
            days.update(&key, &serde_json::to_vec(&hour).unwrap())
        };
        assert!(update("LGA", 0, &[None]).is_none());
        assert_eq!(update("JFK", 0, &[Some(1.0)]).unwrap().0, 1);
        let (_, text) = update("JFK", 7_200_000, &[Some(2.0), None]).unwrap();
        assert!(
            text.starts_with("JFK  1970-01-01 02:00    2 flights   1 cancelled  mean delay    2.0 min"),
            "{text}"
        );
        assert!(text.contains("▄ █  most by United (2)"), "{text}");
        assert!(update("JFK", 3_600_000, &[None]).unwrap().1.contains("▄▄█"));
    }
}
