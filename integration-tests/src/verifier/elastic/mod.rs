//! Elasticity in figures: instances come, go, restart and die under load, and what that does to the output.
//!
//! Each command runs real processes and prints one line of JSON; its exit code is 1 when a result is not right or a limit
//! was passed.

mod failover;
mod ground;
mod options;
mod pauses;
mod poison;
mod rolling;
mod scale;
mod settle;
mod signed_output;
mod steady_input;

pub use failover::{FailoverFigures, FailoverOptions, fail_over};
pub use options::ElasticOptions;
pub use pauses::Pauses;
pub use poison::{PoisonFigures, PoisonOptions, poison};
pub use rolling::{RollingFigures, RollingOptions, rolling_restart};
pub use scale::{ScaleFigures, ScaleOptions, scale};
pub use settle::{SettleFigures, SettleOptions, settle};
