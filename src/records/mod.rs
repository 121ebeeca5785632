//! Application data (floor 2): collections of JSON documents in app.db.
//!
//! What must stay true: a document is what its collection, id and version say; every change of a document and
//! of its collection's count happens in one transaction; what is refused changes nothing. The rules (names,
//! bodies, merging, conditions, cursors) are pure; SQL stands in `collections` and `documents` and wants nothing
//! but a connection; `store` runs it on a database under a named operation. The API calls `store`.
pub mod body;
pub mod collections;
pub mod conditions;
pub mod cursor;
pub mod documents;
pub mod merge;
pub mod names;
pub mod schema;
pub mod store;

pub use body::{Body, DOCUMENT_MAX_BYTES, Input, InputError, TooLarge, kind};
pub use collections::{Collection, CollectionPage, CollectionRefusal};
pub use conditions::{Conditions, ReadVerdict, Versions};
pub use cursor::Cursor;
pub use documents::{Document, DocumentPage, Put, Refusal};
pub use names::{CollectionName, DocumentId, Key};
pub use schema::MIGRATIONS;

/// Smallest page of a list.
pub const LIMIT_MIN: u32 = 1;
/// Largest page of a list.
pub const LIMIT_MAX: u32 = 500;
/// Page of a list that names none.
pub const LIMIT_DEFAULT: u32 = 100;
