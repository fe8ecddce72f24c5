//! Windows: which spans of event time a record belongs to, and when their results leave.

mod emit_strategy;
mod grace;
mod join_windows;
mod session_windows;
mod sliding_windows;
mod time_windows;
mod unlimited_windows;

pub use emit_strategy::EmitStrategy;
pub use grace::{SetGrace, WithoutGrace};
pub use join_windows::JoinWindows;
pub use session_windows::SessionWindows;
pub use sliding_windows::SlidingWindows;
pub use time_windows::TimeWindows;
pub use unlimited_windows::UnlimitedWindows;

use std::fmt::Debug;
use std::time::Duration;

use state_stores::Window;
use streams_core::time::Timestamp;

/// Windows of fixed spans: tumbling, hopping, unlimited, or your own.
///
/// ```
/// use streams_dsl::prelude::*;
///
/// /// Office hours: of each day, from eight to five.
/// #[derive(Debug)]
/// struct OfficeHours;
///
/// impl Windows for OfficeHours {
///     fn windows_for(&self, timestamp: Timestamp, visit: &mut dyn FnMut(Window)) {
///         let hour = 3_600_000;
///         let opening = timestamp.as_millis() / (24 * hour) * (24 * hour) + 8 * hour;
///         let window = Window::new(opening, opening + 9 * hour);
///         if window.start <= timestamp && timestamp < window.end {
///             visit(window);
///         }
///     }
///
///     fn size(&self) -> Duration {
///         Duration::from_secs(9 * 3_600)
///     }
///
///     fn grace(&self) -> Duration {
///         Duration::ZERO
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// let calls = builder.stream::<String, i64>("calls");
/// calls.group_by_key().windowed_by(OfficeHours).count().to_stream().to("calls-a-day");
/// assert!(builder.build().is_ok());
/// ```
#[diagnostic::on_unimplemented(
    message = "a stream cannot be cut into windows by `{Self}`",
    note = "say how late records may be: `.grace(..)` or `.no_grace()` behind `TimeWindows::of_size(..)`, \
            `SlidingWindows::of_time_difference(..)` or `SessionWindows::of_inactivity_gap(..)`",
    note = "windows of your own implement `Windows`"
)]
pub trait Windows: Debug + Send + Sync + 'static {
    /// Shows `visit` every window that an event time belongs to, by ascending start; a window's end does not belong
    /// to it.
    fn windows_for(&self, timestamp: Timestamp, visit: &mut dyn FnMut(Window));

    /// How long a window is. Rows of windowed tables are written with their start alone, so all are of one size.
    fn size(&self) -> Duration;

    /// How late a record may be, in event time behind its window's end.
    fn grace(&self) -> Duration;

    /// Whether windows close at some time; only then can results wait for it ([`EmitStrategy::OnWindowClose`]).
    fn closes(&self) -> bool {
        true
    }

    /// What is wrong with the windows' settings, and the remedy; `build()` lists it.
    ///
    /// # Errors
    /// Where a record's windows cannot be told by these settings.
    fn validate(&self) -> Result<(), String> {
        if self.size() < SHORTEST {
            return Err(format!("windows of {:?} are too short: their size is at least 1 ms", self.size()));
        }
        Ok(())
    }
}

/// Event time is counted in milliseconds.
const SHORTEST: Duration = Duration::from_millis(1);
