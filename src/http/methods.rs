//! Which methods a path answers to (floor 5): Rocket says 404 where another method would do; people expect 405 with
//! Allow, and OPTIONS answered.
//!
//! What must stay true: made from the mounted routes themselves, so that it can't disagree with them; a catch-all
//! route (the dashboard's files) says nothing about which paths exist and is left out: it calls [`note_file`].

use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Method;
use rocket::{Request, Route};

struct Known {
    method: Method,
    segments: Vec<Segment>,
}

enum Segment {
    Exactly(String),
    Anything,
}

/// What a file answers to.
const OF_A_FILE: &str = "GET, HEAD, OPTIONS";

/// Whether a file answers at the request's path.
#[derive(Default)]
struct IsFile(AtomicBool);

/// Says that a file answers at the request's path, though not to its method.
pub fn note_file(request: &Request<'_>) {
    request.local_cache(IsFile::default).0.store(true, Ordering::Relaxed);
}

/// The table; managed state.
pub struct Methods(Vec<Known>);

impl Methods {
    /// From the mounted routes.
    pub fn of<'r>(routes: impl Iterator<Item = &'r Route>) -> Self {
        let fixed = routes.filter(|route| !route.uri.path().contains("..>"));
        Self(
            fixed
                .map(|route| Known {
                    method: route.method,
                    segments: segments(route.uri.path()),
                })
                .collect(),
        )
    }

    /// The methods that `path` answers to, in a fixed order; empty when the path is not known.
    pub fn allowed(&self, path: &str) -> Vec<&'static str> {
        let asked: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let mut found: Vec<&'static str> = Vec::new();
        for known in self.0.iter().filter(|known| matches(&known.segments, &asked)) {
            found.push(known.method.as_str());
            if known.method == Method::Get {
                found.push("HEAD");
            }
        }
        if !found.is_empty() {
            found.push("OPTIONS");
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The `Allow` header for the request's path, when the path is known.
    pub fn allow_header(request: &Request<'_>) -> Option<String> {
        if request.local_cache(IsFile::default).0.load(Ordering::Relaxed) {
            return Some(OF_A_FILE.to_owned());
        }
        let methods = request.rocket().state::<Self>()?;
        let allowed = methods.allowed(request.uri().path().as_str());
        (!allowed.is_empty()).then(|| allowed.join(", "))
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let parts = path.split('/').filter(|s| !s.is_empty());
    parts
        .map(|s| {
            if s.starts_with('<') {
                Segment::Anything
            } else {
                Segment::Exactly(s.to_owned())
            }
        })
        .collect()
}

fn matches(known: &[Segment], asked: &[&str]) -> bool {
    known.len() == asked.len()
        && known.iter().zip(asked).all(|(known, asked)| match known {
            Segment::Exactly(text) => text == asked,
            Segment::Anything => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(method: Method, path: &str) -> Known {
        Known {
            method,
            segments: segments(path),
        }
    }

    #[test]
    fn a_path_lists_its_methods() {
        let methods = Methods(vec![
            known(Method::Get, "/api/data/<c>"),
            known(Method::Post, "/api/data/<c>"),
            known(Method::Get, "/livez"),
        ]);
        assert_eq!(methods.allowed("/api/data/notes"), ["GET", "HEAD", "OPTIONS", "POST"]);
        assert_eq!(methods.allowed("/livez/"), ["GET", "HEAD", "OPTIONS"]);
        assert!(methods.allowed("/api/data").is_empty());
        assert!(methods.allowed("/nowhere").is_empty());
    }
}
