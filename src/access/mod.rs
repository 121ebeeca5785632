//! Who may do what (floor 2): tokens in a file, sources of events with their keys, open local use and its limits, and
//! failed tries.
//!
//! What must stay true: nothing here touches a database, so that people still get in while one is broken; every
//! doubt refuses. `http` enforces it, `app` decides whether to listen, `cli` manages the tokens.
mod attempts;
mod file;
mod follow;
mod kept;
mod listen;
mod manage;
mod protected;
mod scope;
mod sources;
mod store;
mod token;

pub use attempts::{FailedAttempts, Failure};
pub use file::{TokenFile, TokenFileError, TokenRecord};
pub use kept::{Kept, KeptError, KeptFile};
pub use listen::refuse_open_listen;
pub use manage::{Created, InvalidToken, NewToken, create, revoke};
pub use protected::{Approach, Reason, is_forwarding_header, judge};
pub use scope::{Grant, Scope};
pub use sources::{
    CreatedSource, InvalidSource, SourceFile, SourceRecord, SourceStore, create_source, is_key, revoke_source,
};
pub use store::{Refusal, TokenStore};
