//! Application data over HTTP (floor 6): `/api/data`, collections and their documents.
//!
//! What must stay true: handlers parse, call `records::store`, and shape; every rule about data stands there.
//! A refusal becomes its problem in `refusals`, and only there. Paths are whole: mount the routes at `/`.
mod collections;
mod conditions;
mod documents;
mod input;
mod once;
mod refusals;
mod reply;

/// The routes of application data, to be mounted at `/`.
pub fn routes() -> Vec<rocket::Route> {
    rocket::routes![
        collections::put_collection,
        collections::list_collections,
        collections::delete_collection,
        documents::list_documents,
        documents::create_document,
        documents::read_document,
        documents::put_document,
        documents::patch_document,
        documents::delete_document,
    ]
}

#[cfg(test)]
mod tests {
    use rocket::local::blocking::Client;

    use super::*;
    use crate::access::{FailedAttempts, TokenFile, TokenStore};
    use crate::clock::SystemClock;
    use crate::http::Door;

    #[test]
    fn routes_do_not_collide() {
        let config = rocket::Config {
            log_level: rocket::config::LogLevel::Off,
            ..rocket::Config::debug_default()
        };
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::shared();
        let door = Door {
            tokens: TokenStore::open(TokenFile::in_folder(folder.path()), clock.clone()).unwrap(),
            attempts: FailedAttempts::new(),
            listens_on_loopback: true,
            capture: crate::events::channel(clock.clone()).0,
            clock: clock.clone(),
        };
        let rocket = rocket::custom(config).manage(clock).manage(door).mount("/", routes());
        let client = Client::untracked(rocket).expect("no two routes answer the same request");
        assert!(
            client
                .rocket()
                .routes()
                .all(|route| route.uri.path().starts_with("/api/data"))
        );
    }
}
