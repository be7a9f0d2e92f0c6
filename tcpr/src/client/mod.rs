//! The client library: how an application tells TCPR what it has, and comes back.
//!
//! *Assumes* that the application stores a [`Record`] where a crash does not reach, and checkpoints
//! input only when that is its own for good.
//! *Guarantees* that a restart of `tcpr serve` is not the application's business: the client
//! connects again, and registers every connection as it stands.

mod blocking;
mod endpoint;
mod error;
mod exchange;
mod link;
mod record;
mod recovery;
pub mod session;
#[cfg(feature = "tokio")]
pub mod tokio;
mod tracked;

pub use blocking::{Client, Connection, Recovery};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, ConnectError};
pub use record::{Durability, RECORD_VERSION, Record, RecordError};
pub use tracked::Tracked;
