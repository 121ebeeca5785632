//! The parts of a stack that name an error (floor 2, pure): the application's own frames, without what a release changes.
//!
//! What must stay true: line numbers, build hashes and generated names stay out, so that a fingerprint survives a new
//! release; a frame's `in_app` as the sender gives it decides, and only without it the place does.

use crate::events::model::Frame;

/// Most frames of a key, innermost first; the rest is how one got there.
const MOST_FRAMES: usize = 30;

/// Parts of a path that only other people's code has.
#[rustfmt::skip]
const FOREIGN_PATHS: &[&str] = &[
    "/site-packages/", "/dist-packages/", "/lib/python", "/node_modules/", "/vendor/", "/.cargo/registry/",
    "/.cargo/git/", "/rustc/", "/library/std/", "/library/core/", "/library/alloc/", "/gems/", "/lib/ruby/",
    "/usr/local/go/src/", "/go/pkg/mod/", "/goroot/", "/usr/lib/", "/.m2/", "/.rustup/", "/opt/hostedtoolcache/",
    "/dotnet/shared/", "/pub.dev/", "/.pub-cache/", "/deps/", "(native)", "<anonymous>", "[native code]",
    "<frozen importlib", "<string>",
];

/// What the modules of run-times and frameworks begin with.
#[rustfmt::skip]
const FOREIGN_MODULES: &[&str] = &[
    "java.", "javax.", "jakarta.", "sun.", "jdk.", "com.sun.", "kotlin.", "kotlinx.", "scala.", "groovy.", "clojure.",
    "android.", "androidx.", "dalvik.", "com.android.", "org.springframework.", "org.apache.", "org.hibernate.",
    "org.eclipse.jetty.", "org.jboss.", "io.netty.", "reactor.", "io.undertow.", "com.google.common.",
    "com.fasterxml.jackson.", "com.zaxxer.hikari.", "org.postgresql.", "com.mysql.", "org.junit.", "System.",
    "Microsoft.", "node:", "internal/", "webpack/", "std::", "core::", "alloc::", "tokio::", "futures::", "hyper::",
    "backtrace::", "rust_begin_unwind", "__rust", "runtime.", "net/http.", "reflect.", "asyncio.", "importlib.",
    "threading.", "concurrent.futures.", "django.", "flask.", "werkzeug.", "celery.", "sqlalchemy.", "starlette.",
    "fastapi.", "uvicorn.", "gunicorn.", "Illuminate\\", "Symfony\\", "Doctrine\\", "ActiveRecord::",
    "ActionController::", "ActiveSupport::", "Rack::", "Sidekiq::",
];

/// Places that nobody's application lies at: PHP's own functions, extensions of browsers, Node's own files.
const SHOWN_AS_FOREIGN: [&str; 6] = [
    "[internal",
    "chrome-extension://",
    "moz-extension://",
    "safari-web-extension://",
    "native ",
    "node:",
];
/// Go's packages have no place in their names.
const STANDARD_OF_GO: [&str; 12] = [
    "bufio",
    "context",
    "database/sql",
    "encoding/json",
    "fmt",
    "io",
    "net",
    "net/http",
    "os",
    "runtime",
    "sync",
    "testing",
];

/// The frames that name the error, outermost first: the application's own, or all when none is.
pub(super) fn frame_parts(frames: &[Frame]) -> Vec<String> {
    let any_own = frames.iter().any(is_own);
    let mut parts: Vec<String> = frames
        .iter()
        .filter(|frame| !any_own || is_own(frame))
        .filter_map(frame_part)
        .collect();
    without_recursion(&mut parts);
    if parts.len() > MOST_FRAMES {
        parts.drain(..parts.len() - MOST_FRAMES);
    }
    parts
}

/// Whether a frame is the application's own.
fn is_own(frame: &Frame) -> bool {
    frame.in_app.unwrap_or_else(|| !is_foreign(frame))
}

/// Whether a developer would call a frame their own. It knows more places than a key does: whatever a key looked at would
/// make other keys of the groups that there are.
pub(in crate::events) fn is_shown_as_own(frame: &Frame) -> bool {
    let begins = |text: &str| SHOWN_AS_FOREIGN.iter().any(|known| text.starts_with(known));
    let is_known = |text: &Option<String>| text.as_deref().is_some_and(begins);
    let is_standard = |module: &String| STANDARD_OF_GO.contains(&module.as_str());
    let by_place = frame.abs_path.as_deref().is_some_and(is_foreign_path);
    frame.in_app.unwrap_or_else(|| {
        let is_foreign = is_foreign(frame) || by_place || is_known(&frame.file) || is_known(&frame.abs_path);
        !(is_foreign || frame.module.as_ref().is_some_and(is_standard))
    })
}

fn is_foreign(frame: &Frame) -> bool {
    let begins = |text: &str| FOREIGN_MODULES.iter().any(|known| text.starts_with(known));
    let by_module = frame.module.as_deref().is_some_and(begins);
    let by_function = frame.module.is_none() && frame.function.as_deref().is_some_and(begins);
    let by_file = frame.file.as_deref().is_some_and(is_foreign_path);
    by_module || by_function || by_file
}

fn is_foreign_path(file: &str) -> bool {
    let file = file.replace('\\', "/").to_ascii_lowercase();
    let rooted = format!("/{file}");
    FOREIGN_MODULES.iter().any(|known| file.starts_with(known))
        || FOREIGN_PATHS.iter().any(|known| rooted.contains(known))
}

/// The module, or the file when there is none, and the function.
fn frame_part(frame: &Frame) -> Option<String> {
    let module = frame.module.as_deref().map(module_name);
    let place = module.or_else(|| frame.file.as_deref().map(file_name));
    match (place, frame.function.as_deref().map(function_name)) {
        (None, None) => None,
        (place, function) => Some(format!(
            "{}:{}",
            place.as_deref().unwrap_or("?"),
            function.as_deref().unwrap_or("?")
        )),
    }
}

/// A module without the numbers of generated classes: `shop.Cart$$Lambda$17/0x1f` is `shop.Cart$$Lambda`.
fn module_name(module: &str) -> String {
    let generated = [
        "$$Lambda",
        "$$EnhancerBy",
        "$$FastClass",
        "$$SpringCGLIB",
        "$Proxy",
        "$HibernateProxy",
        "$MockitoMock",
    ];
    let end = generated
        .iter()
        .filter_map(|mark| module.find(mark).map(|at| at + mark.len()))
        .min();
    let stable = without_hash(&module[..end.unwrap_or(module.len())]);
    // Anonymous classes are numbered in the order of the source.
    without_numbers_after(&stable, '$')
}

/// A file without its folder's root, its query and a build's hash: `app://x/static/main.8f3c2a1b.js?v=3` is `static/main.js`.
fn file_name(file: &str) -> String {
    let file = file.replace('\\', "/");
    let file = file.split(['?', '#']).next().unwrap_or_default();
    let file = match file.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or(rest, |(_, path)| path),
        None => file,
    };
    // The place of installation differs between machines; the last parts of a path don't.
    let parts: Vec<&str> = file
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let kept = &parts[parts.len().saturating_sub(3)..];
    kept.iter().map(|part| without_hash(part)).collect::<Vec<_>>().join("/")
}

/// A function without what a compiler numbered: `<lambda_7>`, `{{closure}}`, `func1`, `h0123456789abcdef`, `lambda$run$3`.
fn function_name(function: &str) -> String {
    let mut name = function.trim();
    // Rust's hash of a symbol.
    if let Some((head, tail)) = name.rsplit_once("::h")
        && tail.len() == 16
        && tail.bytes().all(|b| b.is_ascii_hexdigit())
    {
        name = head;
    }
    let name = name.strip_prefix("async ").unwrap_or(name);
    let name = name.strip_prefix("Object.").unwrap_or(name);
    let anonymous = [
        "",
        "<anonymous>",
        "(anonymous)",
        "anonymous",
        "?",
        "<unknown>",
        "(anonymous function)",
    ];
    // A minifier's names change with every build.
    let minified = name.len() <= 2
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'$' || b == b'_');
    if anonymous.contains(&name) || minified {
        return "<anonymous>".to_owned();
    }
    let name = without_numbers_after(name, '$');
    let name = without_numbers_in(&name, ".func");
    let name = without_numbers_in(&name, "lambda_");
    without_numbers_in(&name, "{closure#")
}

/// Without parts, between `.`, `-` and `_`, that are a build's hash: eight or more hexadecimal digits, one of them a digit.
fn without_hash(name: &str) -> String {
    let is_hash = |part: &str| {
        part.len() >= 8 && part.bytes().all(|b| b.is_ascii_hexdigit()) && part.bytes().any(|b| b.is_ascii_digit())
    };
    if !name.split(['.', '-', '_', '/', '@']).any(is_hash) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for part in name.split_inclusive(['.', '-', '_', '/', '@']) {
        let body = part.trim_end_matches(['.', '-', '_', '/', '@']);
        if is_hash(body) {
            let kept = out.trim_end_matches(['.', '-', '_', '@']).len();
            out.truncate(kept);
            out.push_str(&part[body.len()..]);
        } else {
            out.push_str(part);
        }
    }
    out
}

/// Without the digits that follow a character: `run$3` is `run$`.
fn without_numbers_after(name: &str, mark: char) -> String {
    let mut out = String::with_capacity(name.len());
    let mut after = false;
    for c in name.chars() {
        if !(after && c.is_ascii_digit()) {
            out.push(c);
            after = c == mark;
        }
    }
    out
}

/// Without the digits that follow each occurrence of a text.
fn without_numbers_in(name: &str, mark: &str) -> String {
    let mut parts = name.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(mark);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// Recursion of another depth is the same error: a run of frames that comes again right after itself is there once.
fn without_recursion(parts: &mut Vec<String>) {
    for length in 1..=4 {
        let mut at = 0;
        while at + 2 * length <= parts.len() {
            if parts[at..at + length] == parts[at + length..at + 2 * length] {
                parts.drain(at..at + length);
            } else {
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
