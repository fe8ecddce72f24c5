//! The flights of the demo: the files that they come in, and what is computed from them.

mod calendar;
mod files;
mod hour;
mod pace;

pub use calendar::{utc_minute, utc_ms};
pub use files::{Departure, airlines, departures};
pub use hour::{Days, Hour, Line, NamedDeparture, lines, split_key};
pub use pace::send;
