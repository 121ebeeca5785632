//! What goes out (floor 6): JSON text that is ready, with the headers of a document.
//!
//! What must stay true: stored text is sent as it is, never parsed again.
use std::io::Cursor as Bytes;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde_json::Value;

use crate::records::{Cursor, Document, DocumentPage};

/// A response of application data.
#[derive(Debug)]
pub struct Reply {
    status: Status,
    json: Option<String>,
    version: Option<i64>,
    location: Option<String>,
    is_replayed: bool,
}

impl Reply {
    /// JSON text.
    pub fn json(status: Status, json: String) -> Self {
        Self {
            status,
            json: Some(json),
            version: None,
            location: None,
            is_replayed: false,
        }
    }

    /// 204: it is done, and there is nothing to show.
    pub fn done() -> Self {
        Self {
            status: Status::NoContent,
            json: None,
            version: None,
            location: None,
            is_replayed: false,
        }
    }

    /// A document with its ETag.
    pub fn document(status: Status, document: Document) -> Self {
        Self {
            version: Some(document.version),
            ..Self::json(status, document.json)
        }
    }

    /// 304: the client has this version.
    pub fn not_modified(version: i64) -> Self {
        Self {
            status: Status::NotModified,
            version: Some(version),
            ..Self::done()
        }
    }

    /// The same with a Location, which must be a path that needs no escaping.
    #[must_use]
    pub fn located(mut self, path: String) -> Self {
        self.location = Some(path);
        self
    }

    /// The same, marked as the answer of an earlier request with the same idempotency key.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.is_replayed = true;
        self
    }
}

impl<'r> Responder<'r, 'static> for Reply {
    fn respond_to(self, _request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        response.status(self.status);
        if let Some(version) = self.version {
            // A client may keep a document, but asks before each use whether it has changed.
            response
                .raw_header("ETag", entity_tag(version))
                .raw_header("Cache-Control", "no-cache");
        }
        if let Some(path) = self.location {
            response.header(Header::new("Location", path));
        }
        if self.is_replayed {
            response.raw_header("Idempotency-Replayed", "true");
        }
        if let Some(json) = self.json {
            response
                .header(ContentType::JSON)
                .sized_body(json.len(), Bytes::new(json));
        }
        response.ok()
    }
}

/// A version as a strong entity tag.
pub fn entity_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// A page of a list, around the text of a JSON array.
pub fn page(items_json: &str, next: Option<&Cursor>) -> Reply {
    let next = next.map_or_else(|| "null".to_owned(), |cursor| format!("\"{cursor}\""));
    Reply::json(Status::Ok, format!(r#"{{"items":{items_json},"nextCursor":{next}}}"#))
}

/// A page of documents; `damaged` is there only when some had to be left out.
pub fn page_of_documents(found: &DocumentPage) -> Reply {
    let mut made = page(&found.items_json, found.next.as_ref());
    if let (Some(json), false) = (&mut made.json, found.damaged.is_empty()) {
        json.pop();
        json.push_str(&format!(r#","damaged":{}}}"#, Value::from(found.damaged.clone())));
    }
    made
}

#[cfg(test)]
mod tests {
    use rocket::local::blocking::{Client, LocalResponse};
    use rocket::{Build, Rocket, get, routes};
    use serde_json::json;

    use super::*;

    #[get("/document")]
    fn document() -> Reply {
        let document = Document {
            version: 7,
            json: r#"{"id":"n1"}"#.into(),
        };
        Reply::document(Status::Created, document).located("/api/data/notes/n1".into())
    }

    #[get("/unchanged")]
    fn unchanged() -> Reply {
        Reply::not_modified(7)
    }

    #[get("/page")]
    fn first_page() -> Reply {
        page(r#"[{"id":"n1"}]"#, Some(&Cursor::after("n1")))
    }

    fn rocket() -> Rocket<Build> {
        rocket::custom(rocket::Config {
            log_level: rocket::config::LogLevel::Off,
            ..rocket::Config::debug_default()
        })
        .mount("/", routes![document, unchanged, first_page])
    }

    fn header<'a>(response: &'a LocalResponse<'_>, name: &str) -> Option<&'a str> {
        response.headers().get_one(name)
    }

    #[test]
    fn documents_carry_their_headers() {
        let client = Client::untracked(rocket()).unwrap();
        let response = client.get("/document").dispatch();
        assert_eq!(response.status(), Status::Created);
        assert_eq!(header(&response, "ETag"), Some("\"7\""));
        assert_eq!(header(&response, "Cache-Control"), Some("no-cache"));
        assert_eq!(header(&response, "Location"), Some("/api/data/notes/n1"));
        assert_eq!(header(&response, "Content-Type"), Some("application/json"));
        assert_eq!(response.into_string().unwrap(), r#"{"id":"n1"}"#);
    }

    #[test]
    fn not_modified_has_a_tag_and_no_body() {
        let client = Client::untracked(rocket()).unwrap();
        let response = client.get("/unchanged").dispatch();
        assert_eq!(response.status(), Status::NotModified);
        assert_eq!(header(&response, "ETag"), Some("\"7\""));
        assert_eq!(response.into_bytes().unwrap_or_default(), b"");
    }

    #[test]
    fn a_page_is_json_with_the_next_cursor() {
        let client = Client::untracked(rocket()).unwrap();
        let body = client.get("/page").dispatch().into_string().unwrap();
        let page: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(page["items"], json!([{"id": "n1"}]));
        assert_eq!(
            Cursor::parse(page["nextCursor"].as_str().unwrap()),
            Some(Cursor::after("n1"))
        );
    }
}
