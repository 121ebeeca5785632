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

/// The result codes of the bundled header, by name.
fn header_codes() -> std::collections::HashMap<String, i32> {
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
    known
}

#[test]
fn every_result_code_of_the_bundled_header_is_named() {
    for (name, code) in header_codes() {
        let class = named(code).unwrap_or_else(|| panic!("{name} ({code}) is not in the table"));
        let plain = name.trim_start_matches("SQLITE_");
        assert!(plain.starts_with(class.name), "{name} ({code}) is named {}", class.name);
    }
}

/// The project's table of codes, row by row. "bug" and "config" are told as high, an isolating "config" as critical,
/// because somebody has to act; what is only logged is low.
#[rustfmt::skip]
const TABLE: &[(&[i32], Retry, Impact, Gravity, Told)] = &[
    (&[5, 773], NewTransaction, LockBudget, High, Busy),
    (&[517], NewTransaction, Ignored, Low, Busy),
    // Counts once it has lasted for 30 s: that is the verdict's matter.
    (&[261], NewTransaction, LockBudget, Medium, Busy),
    (&[6], Never, Ignored, High, Internal),
    (&[262, 518], NewTransaction, Ignored, Medium, Busy),
    (&[15], OnceLater, Failure, High, Unavailable),
    (&[17, 513, 769], Once, Ignored, Low, Busy),
    (&[4, 516], NewTransaction, Ignored, Low, Busy),
    // A slow call: that is the verdict's matter.
    (&[9], Never, Ignored, Low, TooLong),
    (&[7, 3082], Never, Failure, Critical, Unavailable),
    (&[13], Never, OpensWrite, Critical, ReadOnly),
    // IOERR: READ, SHORT_READ, WRITE, TRUNCATE, FSTAT, SEEK, ACCESS, DELETE, DELETE_NOENT, CLOSE, DIR_CLOSE.
    (&[10, 266, 522, 778, 1546, 1802, 5642, 3338, 2570, 5898, 4106, 4362], Discard, Failure, High, Unavailable),
    // IOERR: UNLOCK, RDLOCK, LOCK, CHECKRESERVEDLOCK, SHMOPEN, SHMSIZE, SHMLOCK, SHMMAP, MMAP, GETTEMPPATH, CONVPATH,
    // VNODE, AUTH, BLOCKED.
    (&[2058, 2314, 3850, 3594, 4618, 4874, 5130, 5386, 6154, 6410, 6666, 6922, 7178, 2826], Discard, Failure, High, Unavailable),
    // IOERR: FSYNC, DIR_FSYNC, BEGIN_ATOMIC, COMMIT_ATOMIC, ROLLBACK_ATOMIC.
    (&[1034, 1290, 7434, 7690, 7946], OnlyIdempotent, Isolates, Critical, DataProblem),
    // CORRUPT and its extended codes, NOTADB, IOERR: DATA, CORRUPTFS, IN_PAGE.
    (&[11, 267, 523, 779, 26, 8202, 8458, 8714], Never, Isolates, Critical, DataProblem),
    // IOERR: BADKEY, CODEC; ERROR_KEY.
    (&[8970, 9226, 1281], Never, Isolates, Critical, Internal),
    // READONLY: RECOVERY, CANTLOCK, ROLLBACK, CANTINIT, DIRECTORY; PERM.
    (&[8, 264, 520, 776, 1288, 1544, 3], Never, OpensWrite, Critical, ReadOnly),
    (&[1032], Never, Isolates, Critical, DataProblem),
    // CANTOPEN: FULLPATH, CONVPATH.
    (&[14, 782, 1038], Discard, Failure, High, Unavailable),
    // CANTOPEN: NOTEMPDIR, ISDIR, DIRTYWAL, SYMLINK.
    (&[270, 526, 1294, 1550], Never, Ignored, High, Internal),
    (&[19, 275, 531, 787, 1043, 1299, 1555, 1811, 2067, 2323, 2579, 2835, 3091], Never, Success, Low, Conflict),
    (&[18], Never, Ignored, Low, TooLarge),
    (&[20], Never, Ignored, Low, Conflict),
    // ERROR, MISSING_COLLSEQ, RESERVESIZE, UNABLE, INTERNAL, NOTFOUND, EMPTY, MISUSE, NOLFS, AUTH, AUTH_USER, FORMAT, RANGE.
    (&[1, 257, 1025, 1537, 2, 12, 16, 21, 22, 23, 279, 24, 25], Never, Ignored, High, Internal),
    // NOTICE, WARNING.
    (&[27, 283, 539, 795, 28, 284], Never, Ignored, Low, Internal),
    // No errors: OK, ROW, DONE.
    (&[0, 256, 512, 100, 101], Never, Success, Low, Internal),
    // An unknown extended code is read as its primary code; an unknown primary code.
    (&[5 | 99 << 8], NewTransaction, LockBudget, High, Busy),
    (&[250], Never, Failure, High, Unavailable),
];

#[test]
fn every_row_says_what_the_table_says() {
    for (codes, retry, impact, gravity, told) in TABLE {
        for code in *codes {
            let class = classify(*code);
            let row = (class.retry, class.impact, class.gravity, class.told);
            assert_eq!(row, (*retry, *impact, *gravity, *told), "{} ({code})", class.name);
        }
    }
}

#[test]
fn the_table_has_every_code_of_the_bundled_header_once() {
    let mut listed: Vec<_> = TABLE.iter().flat_map(|row| row.0).copied().collect();
    listed.sort_unstable();
    assert!(
        listed.windows(2).all(|pair| pair[0] != pair[1]),
        "a code is listed twice"
    );
    for (name, code) in header_codes() {
        assert!(listed.contains(&code), "{name} ({code}) is not in the table");
    }
}

#[test]
fn an_unknown_extended_code_is_read_as_its_primary_code() {
    assert_eq!(classify(5 | (99 << 8)).name, "BUSY");
    assert_eq!(classify(250).retry, Retry::Never);
    assert_eq!(classify(250).impact, Impact::Failure);
}
