//! Reading the stores of a running application: what each kind of store can be asked.

mod key_value;
mod session;
mod versioned;
mod window;

pub use key_value::QueryKeyValue;
pub use session::QuerySession;
pub use versioned::QueryVersioned;
pub use window::QueryWindow;
