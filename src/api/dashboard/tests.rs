//! The dashboard's files over a bare Rocket, without the rest of the service.

use std::fs;
use std::path::{Path, PathBuf};

use rocket::http::{Header, Status};
use rocket::local::blocking::{Client, LocalResponse};
use rocket::shield::Shield;

use super::*;

fn client(static_dir: Option<PathBuf>) -> Client {
    let settings = HttpSettings {
        static_dir,
        ..HttpSettings::default()
    };
    let figment = rocket::Config::figment().merge(("log_level", "off"));
    let rocket = rocket::custom(figment)
        .attach(Shield::new())
        .manage(Assets::new(&settings))
        .mount("/", routes());
    Client::untracked(rocket).expect("a bare Rocket starts")
}

fn header<'a>(response: &'a LocalResponse<'_>, name: &str) -> &'a str {
    response.headers().get_one(name).unwrap_or_default()
}

fn static_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("static")
}

/// Every file below `folder`, relative to it.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found
}

#[test]
fn the_start_page_comes_with_its_type_and_the_strict_headers() {
    let client = client(None);
    let response = client.get("/").dispatch();
    assert_eq!(response.status(), Status::Ok);
    assert_eq!(response.content_type(), Some(ContentType::HTML));
    for (name, value) in HEADERS {
        assert_eq!(header(&response, name), value);
    }
    assert!(response.into_string().unwrap().starts_with("<!doctype html>"));
}

#[test]
fn each_kind_of_file_has_its_content_type() {
    let client = client(None);
    for (path, expected) in [
        ("/index.html", ContentType::HTML),
        ("/css/base.css", ContentType::CSS),
        ("/js/main.js", ContentType::JavaScript),
        ("/favicon.svg", ContentType::SVG),
    ] {
        assert_eq!(client.get(path).dispatch().content_type(), Some(expected), "{path}");
    }
}

#[test]
fn every_file_of_the_folder_is_in_the_binary_unchanged() {
    let client = client(None);
    let files = files_below(&static_folder());
    assert!(files.len() > 10);
    for file in files {
        let served = client.get(format!("/{}", file.display())).dispatch().into_bytes();
        let message = "differs from the binary's; a new file is embedded when src/api/dashboard.rs is compiled anew";
        assert_eq!(
            served,
            fs::read(static_folder().join(&file)).ok(),
            "{} {message}",
            file.display()
        );
    }
}

#[test]
fn a_known_entity_tag_is_answered_with_304_and_another_with_the_file() {
    for client in [client(None), client(Some(static_folder()))] {
        let first = client.get("/js/main.js").dispatch();
        let etag = header(&first, "ETag").to_owned();
        assert!(etag.starts_with('"') && etag.len() == 34, "{etag} is strong");
        for given in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            "*".to_owned(),
        ] {
            let again = client
                .get("/js/main.js")
                .header(Header::new("If-None-Match", given))
                .dispatch();
            assert_eq!(again.status(), Status::NotModified);
            assert_eq!(header(&again, "ETag"), etag);
            assert!(again.into_bytes().unwrap_or_default().is_empty());
        }
        let other = client
            .get("/js/main.js")
            .header(Header::new("If-None-Match", "\"other\""))
            .dispatch();
        assert_eq!(other.status(), Status::Ok);
    }
}

#[test]
fn head_has_the_headers_and_no_body() {
    let client = client(None);
    let length = fs::metadata(static_folder().join("index.html")).unwrap().len();
    let response = client.head("/").dispatch();
    assert_eq!(response.status(), Status::Ok);
    assert!(!header(&response, "ETag").is_empty());
    assert_eq!(response.body().preset_size(), usize::try_from(length).ok());
    assert!(response.into_bytes().unwrap_or_default().is_empty());
}

#[test]
fn what_is_no_file_is_left_to_the_404_catcher() {
    for client in [client(None), client(Some(static_folder()))] {
        for path in [
            "/nothing.js",
            "/js",
            "/js/",
            "/api/monitoring/none",
            "/.git",
            "/js/.hidden",
        ] {
            let response = client.get(path).dispatch();
            assert_eq!(response.status(), Status::NotFound, "{path}");
            assert_eq!(
                header(&response, "Content-Security-Policy"),
                "",
                "{path} isn't the dashboard's"
            );
        }
    }
}

#[test]
fn the_development_folder_serves_what_is_on_disk_now() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(Some(folder.path().to_owned()));
    assert_eq!(client.get("/").dispatch().status(), Status::NotFound);
    fs::write(folder.path().join("index.html"), "one").unwrap();
    let first = client.get("/").dispatch();
    let etag = header(&first, "ETag").to_owned();
    assert_eq!(first.into_string().unwrap(), "one");
    fs::write(folder.path().join("index.html"), "two").unwrap();
    let second = client.get("/").header(Header::new("If-None-Match", etag)).dispatch();
    assert_eq!(second.into_string().unwrap(), "two");
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("static");
    fs::create_dir(&inner).unwrap();
    fs::write(outer.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(outer.path().join("secret.txt"), inner.join("link.txt")).unwrap();
    let client = client(Some(inner));
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/a/../../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/link.txt",
    ] {
        let response = client.get(path).dispatch();
        assert_ne!(response.status(), Status::Ok, "{path}");
        assert_ne!(response.into_string().as_deref(), Some("secret"), "{path}");
    }
}

#[test]
fn the_page_has_no_inline_script_or_style_and_the_scripts_never_parse_html() {
    let page = fs::read_to_string(static_folder().join("index.html")).unwrap();
    for forbidden in [
        "<style",
        " style=",
        "javascript:",
        " onclick",
        " onload",
        "http://",
        "https://",
        "<script>",
    ] {
        assert!(!page.contains(forbidden), "index.html has {forbidden}");
    }
    for file in files_below(&static_folder())
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "js"))
    {
        let source = fs::read_to_string(static_folder().join(file)).unwrap();
        let code: String = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!code.contains(forbidden), "{} uses {forbidden}", file.display());
        }
    }
}

#[test]
fn files_stay_small_and_say_what_they_are() {
    for file in files_below(&static_folder()) {
        let source = fs::read_to_string(static_folder().join(&file)).unwrap();
        assert!(
            source.lines().count() <= 300,
            "{} is longer than 300 lines",
            file.display()
        );
        let start = match file.extension().and_then(|e| e.to_str()) {
            Some("js") => "//",
            Some("css") => "/*",
            _ => continue,
        };
        assert!(source.starts_with(start), "{} has no header comment", file.display());
    }
}
