//! The words of classes on the wire (floor 2, pure).
//!
//! What must stay true: they are those that an event shows as its `class`, so that an exported event can be read back.

use super::Class;

/// By the numbers of the classes.
const NAMES: [&str; Class::ALL.len()] = [
    "informational",
    "resources_exhausted",
    "authentication_failed",
    "disk_full",
    "corruption",
    "timeout",
    "connection_lost",
    "lock_contention",
    "panic",
    "unavailable",
    "read_only",
    "outcome_unknown",
    "database_error",
    "validation",
    "socket_error",
    "api_error",
    "program_error",
    "server_failure",
    "slow",
    "state_change",
];

impl Class {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The class of a word on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}
