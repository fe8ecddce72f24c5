//! Sending the departures.

use std::thread;
use std::time::{Duration, Instant};

use super::Departure;
use crate::{Feed, Result};

const MS_PER_HOUR: f64 = 3_600_000.0;

/// Sends departures to a topic, by their carrier, with the scheduled hour as event time. `hours_per_second` is the pace at
/// which their hours pass, as fast as possible without; `progress` is told how many have been sent.
///
/// # Errors
/// When the broker does not take them.
pub fn send(
    feed: &Feed,
    topic: &str,
    departures: &[Departure],
    hours_per_second: Option<f64>,
    progress: impl Fn(u64),
) -> Result<()> {
    let began = Instant::now();
    let first_ms = departures.first().map_or(0, |departure| departure.time_hour_ms);
    for (departure, sent) in departures.iter().zip(1..) {
        if let Some(pace) = hours_per_second {
            let hours = (departure.time_hour_ms - first_ms) as f64 / MS_PER_HOUR;
            let due = Duration::try_from_secs_f64(hours / pace).unwrap_or_default();
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        feed.send_json(topic, Some(&departure.carrier), departure, Some(departure.time_hour_ms))?;
        progress(sent);
    }
    feed.flush()
}
