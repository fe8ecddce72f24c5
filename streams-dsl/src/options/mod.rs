//! Options: what an operator may be told beyond its arguments, one type for each.

mod branched;
mod buffer_config;
mod consumed;
mod grouped;
mod joined;
mod materialized;
mod produced;
mod repartitioned;
mod serde_choice;
mod stream_joined;
mod suppressed;
mod table_joined;

pub use branched::Branched;
pub use buffer_config::{BufferConfig, EmitEarly, ShutDown, WhenFull};
pub use consumed::Consumed;
pub use grouped::Grouped;
pub use joined::Joined;
pub use materialized::Materialized;
pub(crate) use materialized::{Backend, StoreOptions};
pub use produced::Produced;
pub use repartitioned::Repartitioned;
pub(crate) use serde_choice::{SerdeChoice, SharedSerde, default_serde};
pub use stream_joined::StreamJoined;
pub use suppressed::Suppressed;
pub(crate) use suppressed::{Bounds, Until};
pub use table_joined::TableJoined;
