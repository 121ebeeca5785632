//! The README tells the truth: its examples are run, its tables are compared with the code.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use mainstay::http::Code;
use serde_json::Value;

use common::{Server, mainstay};

const README: &str = include_str!("../README.md");
/// The address that the examples use.
const ADDRESS: &str = "http://127.0.0.1:3000";
/// Stands for any text in an example's answer.
const ANYTHING: char = '…';

/// The rows between two markers, without the heading.
fn table(name: &str) -> Vec<&'static str> {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (_, rest) = README.split_once(&start).unwrap_or_else(|| panic!("{start}"));
    let (inside, _) = rest.split_once(&end).unwrap_or_else(|| panic!("{end}"));
    inside.lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// A command with the answer that the README shows for it.
#[derive(Debug, Default)]
struct Example {
    command: String,
    answer: String,
}

/// The examples of every console block: `$ ` begins a command, a backslash continues it, the rest is its answer.
fn examples() -> Vec<Example> {
    let blocks = README
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"));
    let mut examples: Vec<Example> = Vec::new();
    for line in blocks.flat_map(|(block, _)| block.lines()) {
        if let Some(command) = line.strip_prefix("$ ") {
            examples.push(Example {
                command: command.to_owned(),
                ..Example::default()
            });
            continue;
        }
        let example = examples.last_mut().expect("a block begins with a command");
        let text = if example.command.ends_with('\\') {
            &mut example.command
        } else {
            &mut example.answer
        };
        text.push('\n');
        text.push_str(line);
    }
    examples
}

/// Whether the answer is what is shown, where `…` stands for anything.
fn matches(shown: &str, answer: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let Some(mut rest) = answer.strip_prefix(parts.next().unwrap_or("")) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    for (shown, answer, expected) in [
        ("ab", "ab", true),
        ("ab", "abc", false),
        ("a…d", "abcd", true),
        ("a…d", "abc", false),
        ("a…c…e", "abcde", true),
        ("a…x…e", "abcde", false),
        ("…b", "ab", true),
    ] {
        assert_eq!(matches(shown, answer), expected, "{shown} and {answer}");
    }
}

#[test]
fn the_examples_do_what_the_readme_shows() {
    let server = Server::start(&[]);
    let examples = examples();
    assert!(examples.len() >= 10, "{examples:#?}");
    for Example { command, answer } in examples {
        assert!(command.contains(ADDRESS), "{command}");
        let here = command.replace(ADDRESS, &server.url(""));
        let ran = Command::new("bash")
            .args(["-o", "pipefail", "-c", &here])
            .current_dir(server.folder())
            .stdin(Stdio::null())
            .output()
            .expect("bash and curl are installed");
        let told = String::from_utf8(ran.stdout).expect("text");
        assert!(
            ran.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(
            matches(answer.trim(), told.trim()),
            "{command}\nthe README shows: {}\nit answered:      {told}",
            answer.trim()
        );
    }
}

#[test]
fn the_settings_are_those_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = mainstay(folder.path())
        .args(["config", "--json"])
        .output()
        .expect("runs")
        .stdout;
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    let row = |setting: &Value| {
        let unit = match setting["unit"].as_str() {
            Some("seconds") => " s",
            Some("milliseconds") => " ms",
            Some("MiB") => " MiB",
            Some("days") => " days",
            Some("percent") => " %",
            _ => "",
        };
        let default = setting["default"]
            .as_str()
            .map_or("unset".to_owned(), |value| format!("{value}{unit}"));
        let text = |member: &str| setting[member].as_str().expect("text").to_owned();
        format!("| `{}` | {default} | {} |", text("name"), text("about"))
    };
    let rows: Vec<_> = told["settings"].as_array().expect("settings").iter().map(row).collect();
    assert_eq!(table("settings"), rows, "the table should be:\n{}\n", rows.join("\n"));
}

#[test]
fn the_error_codes_are_those_of_the_program() {
    let row = |code: &Code| {
        let (name, status, _) = code.row();
        format!("| `{name}` | {status} | {} |", code.meaning())
    };
    let rows: Vec<_> = Code::ALL.iter().map(row).collect();
    assert_eq!(table("codes"), rows, "the table should be:\n{}\n", rows.join("\n"));
}

#[test]
fn the_routes_are_those_of_the_program() {
    let mut shown: Vec<_> = table("routes")
        .into_iter()
        .map(|row| row.split('`').nth(1).expect("a route").to_owned())
        .collect();
    let mut mounted: Vec<_> = mainstay::api::routes()
        .iter()
        .map(|route| {
            format!(
                "{} {}",
                route.method,
                route.uri.path().replace('<', "{").replace('>', "}")
            )
        })
        .map(|route| route.replace("GET /{path..}", "GET /"))
        // One route looks for the two ends of a path that may begin anyhow.
        .flat_map(|route| match route.as_str() {
            "POST /{place..}" => ["envelope", "store"]
                .map(|end| format!("POST /api/{{project}}/{end}/"))
                .to_vec(),
            other if other.ends_with(" /{_place..}") => Vec::new(),
            _ => vec![route],
        })
        // What answers 405 where nothing else does is no route to tell of.
        .filter(|route| !route.ends_with(" /{path..}"))
        .collect();
    shown.sort();
    mounted.sort();
    assert_eq!(shown, mounted);
}

#[test]
fn the_map_names_every_room() {
    let map = table("house").concat();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(source).expect("src/") {
        let entry = entry.expect("an entry");
        let folder = if entry.path().is_dir() { "/" } else { "" };
        let name = format!("`{}{folder}`", entry.file_name().to_string_lossy());
        assert!(name == "`lib.rs`" || map.contains(&name), "{name} is not on the map");
    }
}

#[test]
fn the_files_that_it_names_are_there_and_its_lines_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "docs/dashboard.png",
        "docs/resilience.md",
        "examples/guestbook.rs",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "tests/run",
        ".ci/run",
        "deny.toml",
    ] {
        assert!(README.contains(file), "{file} is not named");
        assert!(root.join(file).is_file(), "{file} is missing");
    }
    for line in README.lines() {
        assert!(line.chars().count() <= 120, "longer than 120: {line}");
    }
}
