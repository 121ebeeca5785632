use super::*;

/// The bundled header lies in the unpacked source of libsqlite3-sys, at the version of Cargo.lock.
fn bundled_header() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let (_, entry) = lock
        .split_once("name = \"libsqlite3-sys\"\nversion = \"")
        .expect("libsqlite3-sys is a dependency");
    let version = entry.split('"').next().expect("a version");
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(
        || std::path::PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cargo"),
        std::path::PathBuf::from,
    );
    let registries = std::fs::read_dir(cargo_home.join("registry/src")).expect("unpacked sources");
    let header = |registry: std::fs::DirEntry| {
        let folder = registry.path().join(format!("libsqlite3-sys-{version}"));
        std::fs::read_to_string(folder.join("sqlite3/sqlite3.h")).ok()
    };
    registries.flatten().find_map(header).expect("the bundled header")
}

/// Evaluates `5` and `(SQLITE_BUSY | (1<<8))`.
fn value(text: &str, known: &std::collections::HashMap<String, i32>) -> Option<i32> {
    let text = text.split("/*").next()?.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (base, shift) = text.strip_prefix('(')?.split_once('|')?;
    let n: i32 = shift
        .trim()
        .strip_prefix('(')?
        .split("<<")
        .next()?
        .trim()
        .parse()
        .ok()?;
    Some(known.get(base.trim())? | (n << 8))
}

#[test]
fn every_result_code_of_the_bundled_header_is_named() {
    let header = bundled_header();
    let start = header.find("#define SQLITE_OK ").expect("the first result code");
    let end = header
        .find("#define SQLITE_OPEN_READONLY")
        .expect("the first open flag");
    let mut known = std::collections::HashMap::new();
    for line in header[start..end].lines().filter_map(|l| l.strip_prefix("#define ")) {
        let (name, text) = line.split_once(char::is_whitespace).expect("a define");
        known.insert(
            name.to_owned(),
            value(text, &known).unwrap_or_else(|| panic!("cannot read {line}")),
        );
    }
    assert!(known.len() > 90, "only {} codes were found", known.len());
    for (name, code) in &known {
        let class = named(*code).unwrap_or_else(|| panic!("{name} ({code}) is not in the table"));
        let plain = name.trim_start_matches("SQLITE_");
        assert!(plain.starts_with(class.name), "{name} ({code}) is named {}", class.name);
    }
}

#[test]
fn rows_say_what_the_table_says() {
    assert_eq!(classify(5).impact, Impact::LockBudget);
    assert_eq!(classify(13).told, Told::ReadOnly);
    assert_eq!(classify(1034).retry, Retry::OnlyIdempotent);
    assert_eq!(classify(2067).name, "CONSTRAINT_UNIQUE");
    assert_eq!(classify(778).name, "IOERR_WRITE");
    assert_eq!(classify(778).retry, Retry::Discard);
}

#[test]
fn an_unknown_extended_code_is_read_as_its_primary_code() {
    assert_eq!(classify(5 | (99 << 8)).name, "BUSY");
    assert_eq!(classify(250).retry, Retry::Never);
    assert_eq!(classify(250).impact, Impact::Failure);
}
