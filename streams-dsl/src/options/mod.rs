//! Options: what an operator may be told beyond its arguments, one type for each.

mod branched;
mod consumed;
mod grouped;
mod joined;
mod materialized;
mod produced;
mod repartitioned;
mod serde_choice;

pub use branched::Branched;
pub use consumed::Consumed;
pub use grouped::Grouped;
pub use joined::Joined;
pub use materialized::Materialized;
pub(crate) use materialized::{Backend, StoreOptions};
pub use produced::Produced;
pub use repartitioned::Repartitioned;
pub(crate) use serde_choice::{SerdeChoice, SharedSerde};
