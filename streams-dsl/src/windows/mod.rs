//! Windows: which spans of event time a record belongs to.

mod grace;
mod join_windows;
mod time_windows;
mod unlimited_windows;

pub use grace::{SetGrace, WithoutGrace};
pub use join_windows::JoinWindows;
pub use time_windows::TimeWindows;
pub use unlimited_windows::UnlimitedWindows;

use std::fmt::Debug;
use std::time::Duration;

use state_stores::Window;
use streams_core::time::Timestamp;

/// Windows of fixed spans: tumbling, hopping, unlimited, or your own.
#[diagnostic::on_unimplemented(
    message = "a stream cannot be cut into windows by `{Self}`",
    note = "say how late records may be: `.grace(..)` or `.no_grace()` behind `TimeWindows::of_size(..)`",
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
}
