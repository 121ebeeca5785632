//! The settings (floor 0): one struct per concern, read once at the start, refused when they make no sense.
//!
//! What must stay true: there is no global configuration; whoever wants a setting is handed its struct. A wrong
//! value is reported and never repaired. Any room may use the structs; only `cli` loads them.
mod error;
pub mod keys;
mod layers;
mod load;
mod server;
pub mod settings;
mod sources;
mod text;
mod unknown;

pub use error::{ConfigError, ConfigErrors};
pub use load::{Effective, Loaded, load};
pub use server::SILENCE;
pub use settings::*;
pub use sources::{Sources, TomlFile};

#[cfg(test)]
mod tests;
