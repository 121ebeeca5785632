//! The dashboard's files (floor 6): `/` and what it loads, embedded in the binary or read from a folder in development.
//!
//! What must stay true: the files hold no data, so they are public; every answer carries the strict headers below, which
//! forbid inline script and style; nothing outside the folder is ever served; what isn't a file here is forwarded, so that
//! 404 and 405 are decided in one place. `app.rs` mounts [`routes`] and manages [`Assets`].

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use rocket::http::{ContentType, Header, Method, Status};
use rocket::request::Request;
use rocket::response::Response;
use rocket::route::{Handler, Outcome, Route};
use rocket::{Data, tokio};
use sha2::{Digest, Sha256};

use crate::config::HttpSettings;
use crate::http::note_file;

#[cfg(test)]
mod tests;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/static");

/// Behind every other route, so that the dashboard never hides one.
const RANK: isize = 100;

/// `default-src 'self'` leaves no inline script or style; the page reaches nothing but this server.
const HEADERS: [(&str, &str); 7] = [
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
    // Asked for anew each time, answered with 304: a new binary's dashboard is seen at once.
    ("Cache-Control", "no-cache"),
];

/// The methods that change things: a file refuses them, which only its route can know.
const REFUSED: [Method; 6] = [
    Method::Post,
    Method::Put,
    Method::Patch,
    Method::Delete,
    Method::Options,
    Method::Trace,
];

/// The dashboard's routes: GET (and with it HEAD) of `/` and of every file.
pub fn routes() -> Vec<Route> {
    let methods = std::iter::once(Method::Get).chain(REFUSED);
    methods
        .map(|method| Route::ranked(RANK, method, "/<path..>", Files))
        .collect()
}

/// Where the dashboard's files come from; managed state.
pub struct Assets(Source);

enum Source {
    /// Every file of the binary by its path, hashed once.
    Embedded(HashMap<&'static Path, Asset<&'static [u8]>>),
    /// A folder whose files are read each time.
    Folder(PathBuf),
}

/// One file, ready to be sent.
struct Asset<B> {
    body: B,
    etag: String,
    content_type: ContentType,
}

impl<B: AsRef<[u8]>> Asset<B> {
    fn new(path: &Path, body: B) -> Self {
        let hash = Sha256::digest(body.as_ref());
        let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let content_type = ContentType::from_extension(extension).unwrap_or(ContentType::Binary);
        Self {
            body,
            etag: format!("\"{hex}\""),
            content_type,
        }
    }
}

impl Assets {
    /// The binary's own files, or those of `static_dir` where that is set.
    pub fn new(settings: &HttpSettings) -> Self {
        Self(match &settings.static_dir {
            Some(folder) => Source::Folder(folder.clone()),
            None => {
                let mut files = HashMap::new();
                collect(&EMBEDDED, &mut files);
                Source::Embedded(files)
            }
        })
    }

    /// The answer for a path relative to the folder, or `None` where there is no such file.
    async fn answer(&self, path: &Path, if_none_match: Option<&str>) -> Option<Response<'static>> {
        match &self.0 {
            Source::Embedded(files) => files.get(path).map(|asset| respond(asset, asset.body, if_none_match)),
            Source::Folder(folder) => {
                let mut asset = Asset::new(path, read_inside(folder, path).await?);
                let body = std::mem::take(&mut asset.body);
                Some(respond(&asset, body, if_none_match))
            }
        }
    }
}

fn collect(folder: &'static Dir<'static>, files: &mut HashMap<&'static Path, Asset<&'static [u8]>>) {
    files.extend(
        folder
            .files()
            .map(|file| (file.path(), Asset::new(file.path(), file.contents()))),
    );
    folder.dirs().for_each(|inner| collect(inner, files));
}

/// A file's content, when it lies inside the folder also after links are followed.
async fn read_inside(folder: &Path, path: &Path) -> Option<Vec<u8>> {
    let root = tokio::fs::canonicalize(folder).await.ok()?;
    let file = tokio::fs::canonicalize(root.join(path)).await.ok()?;
    if !file.starts_with(&root) {
        return None;
    }
    // A folder can't be read as a file, and so is "no such file" too.
    tokio::fs::read(file).await.ok()
}

fn respond<B>(
    asset: &Asset<B>,
    body: impl AsRef<[u8]> + Send + Unpin + 'static,
    if_none_match: Option<&str>,
) -> Response<'static> {
    let mut response = Response::new();
    for (name, value) in HEADERS {
        response.set_header(Header::new(name, value));
    }
    response.set_header(Header::new("ETag", asset.etag.clone()));
    if if_none_match.is_some_and(|given| matches(given, &asset.etag)) {
        response.set_status(Status::NotModified);
        return response;
    }
    response.set_header(asset.content_type.clone());
    response.set_sized_body(body.as_ref().len(), Cursor::new(body));
    response
}

/// Whether an `If-None-Match` names this entity tag, by weak comparison as RFC 9110 wants for it.
fn matches(if_none_match: &str, etag: &str) -> bool {
    let mut named = if_none_match.split(',').map(str::trim);
    named.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The handler of all files. A type instead of a function, because a function can't forward.
#[derive(Clone, Copy)]
struct Files;

#[rocket::async_trait]
impl Handler for Files {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // Rocket's own conversion refuses hidden files, and never lets `..` climb above the start.
        let path: PathBuf = match request.segments(0..) {
            Ok(path) => path,
            Err(_) => return Outcome::forward(data, Status::NotFound),
        };
        let path = if path.as_os_str().is_empty() {
            Path::new("index.html")
        } else {
            path.as_path()
        };
        let if_none_match = request.headers().get_one("If-None-Match");
        let Some(assets) = request.rocket().state::<Assets>() else {
            return Outcome::error(Status::InternalServerError);
        };
        match assets.answer(path, if_none_match).await {
            Some(_) if REFUSED.contains(&request.method()) => {
                note_file(request);
                Outcome::forward(data, Status::MethodNotAllowed)
            }
            Some(response) => Outcome::Success(response),
            None => Outcome::forward(data, Status::NotFound),
        }
    }
}
