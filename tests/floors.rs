//! The house: imports point down only, and rooms on one floor never import each other.
//!
//! Declares the floors and reads every file of `src`: a `crate::` path, or a chain of `super::` that leaves its room,
//! must lead to a lower floor. Also holds files to their size, unless their header gives a reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms by floor. A room of `src` that is missing here fails the test, and so does one that doesn't exist.
const FLOORS: [&[&str]; 9] = [
    &["config", "clock", "quantiles", "rate"],
    &["db"],
    &["events", "records", "access"],
    &["monitoring"],
    &["alerts"],
    &["http"],
    &["api"],
    &["app"],
    &["cli"],
];

const MOST_LINES: usize = 300;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("text");
        (path.strip_prefix(&root).expect("below src").to_owned(), text)
    };
    found.into_iter().map(read).collect()
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The modules a file stands for: `db/writer/mod.rs` is `[db, writer]`.
fn module_path(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The rooms that a file's code names: `crate::x`, and `super::` chains that climb to the crate's root.
fn rooms_named(module: &[String], text: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        let first_word = |rest: &str| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or("")
                .to_owned()
        };
        for (at, _) in code.match_indices("crate::") {
            // `use crate::{a, b::c};` names several.
            let rest = &code[at + "crate::".len()..];
            let group = rest
                .strip_prefix('{')
                .map(|inner| inner.split(',').map(|part| first_word(part.trim())).collect());
            named.extend(
                group
                    .unwrap_or_else(|| vec![first_word(rest)])
                    .into_iter()
                    .map(|room| (index + 1, room)),
            );
        }
        for (at, _) in code
            .match_indices("super::")
            .filter(|(at, _)| !code[..*at].ends_with("super::"))
        {
            let climbed = code[at..].split("super::").take_while(|part| part.is_empty()).count();
            let rest = code[at..].trim_start_matches("super::");
            // A file's inline module (`mod tests`) may climb one further than the file itself.
            if climbed > module.len() || (climbed == module.len() && module.len() > 1) {
                named.push((index + 1, first_word(rest)));
            }
        }
    }
    named.retain(|(_, room)| !room.is_empty());
    named
}

#[test]
fn imports_point_down_and_never_sideways() {
    let mut wrong = Vec::new();
    for (file, text) in all_sources() {
        let module = module_path(&file);
        let room = module.first().cloned().unwrap_or_default();
        if matches!(room.as_str(), "lib" | "main") {
            continue;
        }
        let floor = floor_of(&room).unwrap_or_else(|| panic!("src/{room} has no floor: add it to FLOORS"));
        for (line, other) in rooms_named(&module, &text) {
            let Some(other_floor) = floor_of(&other) else { continue };
            if other != room && other_floor >= floor {
                wrong.push(format!(
                    "src/{}:{line}: {room} (floor {floor}) imports {other} (floor {other_floor})",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_floor_names_rooms_that_exist_and_the_map_at_the_door_lists_them() {
    let rooms: BTreeMap<String, ()> = all_sources()
        .iter()
        .filter_map(|(file, _)| module_path(file).first().cloned())
        .map(|room| (room, ()))
        .collect();
    let map = include_str!("../src/lib.rs");
    for room in FLOORS.iter().copied().flatten() {
        assert!(rooms.contains_key(*room), "FLOORS names {room}, which doesn't exist");
        assert!(
            map.contains(&format!("[`{room}`]")),
            "the map in src/lib.rs doesn't list {room}"
        );
    }
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    let mut wrong = Vec::new();
    for (file, text) in all_sources() {
        let shown = file.display();
        let is_tests =
            file.file_stem().is_some_and(|s| s == "tests") || file.components().any(|c| c.as_os_str() == "tests");
        if !is_tests && !text.starts_with("//!") {
            wrong.push(format!("src/{shown}: no `//!` header"));
        }
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let lines = text.lines().count();
        if lines > MOST_LINES && !is_tests && !header.contains("Longer than") {
            wrong.push(format!(
                "src/{shown}: {lines} lines, and its header gives no reason (`Longer than …`)"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checker_itself_sees_what_it_should() {
    let module = |parts: &[&str]| parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let seen = |parts: &[&str], code: &str| {
        rooms_named(&module(parts), code)
            .into_iter()
            .map(|(_, r)| r)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&["db", "pool"], "use crate::api::x;"), ["api"]);
    assert_eq!(seen(&["db"], "use crate::{http::Problem, clock};"), ["http", "clock"]);
    assert_eq!(seen(&["db", "pool"], "use super::super::http::x;"), ["http"]);
    assert!(seen(&["db", "pool"], "use super::classify;").is_empty());
    assert!(seen(&["db", "pool"], "// crate::api is not imported").is_empty());
}
