//! `mainstay check` (floor 8): whether a start would succeed, one line for each finding, with what to do.
//!
//! What must stay true: it changes nothing and creates nothing; what is missing is said to be created at the start.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::Access;

use super::Context;
use super::terminal::{Exit, Terminal};
use crate::access::{SourceFile, TokenFile, refuse_open_listen};
use crate::config::Loaded;

pub(super) const AFTER_HELP: &str = "\
Each line begins with ok, warn or FAIL and says what to do. Nothing is changed or created.
The exit code is 0 when nothing failed, 1 when something did, 2 when the configuration is wrong.

Example:
  mainstay check && systemctl restart mainstay";

/// What was looked at, and what is right or what is wrong and what to do.
type Finding = (&'static str, Result<String, String>);

pub(super) fn run(context: &Context, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(errors) => {
            for error in &errors.0 {
                writeln!(terminal.out, "FAIL  configuration: {error}")?;
            }
            return Ok(Exit::Misused);
        }
    };
    for warning in &loaded.warnings {
        writeln!(terminal.out, "warn  configuration: {warning}")?;
    }
    let mut exit = Exit::Done;
    for (name, result) in findings(&loaded, context) {
        match result {
            Ok(text) => writeln!(terminal.out, "ok    {name}: {text}")?,
            Err(text) => {
                exit = Exit::Failed;
                writeln!(terminal.out, "FAIL  {name}: {text}")?;
            }
        }
    }
    Ok(exit)
}

fn findings(loaded: &Loaded, context: &Context) -> Vec<Finding> {
    let settings = &loaded.settings;
    let changed = loaded
        .effective
        .iter()
        .filter(|setting| setting.source != "default")
        .count();
    let file = TokenFile::in_folder(&settings.storage.data_dir);
    let mut found = vec![
        (
            "configuration",
            Ok(format!("{} settings, {changed} of them set", loaded.effective.len())),
        ),
        ("data folder", folder(&settings.storage.data_dir)),
        ("tokens", tokens(&file, context)),
        ("sources", sources(&settings.storage.data_dir)),
        ("listening", listening(loaded, &file)),
        ("running", running(loaded)),
    ];
    if let Some(folder) = &settings.http.static_dir {
        found.push(("dashboard folder", dashboard(folder)));
    }
    found.extend(crate::app::check_databases(settings));
    found
}

/// Whether the data folder, or the nearest folder above a missing one, can be written to.
fn folder(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let existing = path
        .ancestors()
        .map(or_here)
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        return Err(format!(
            "{} is not a folder: move it away, or set MAINSTAY_DATA_DIR",
            existing.display()
        ));
    }
    if let Err(error) = rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        let error = io::Error::from(error);
        let here = existing.display();
        return Err(format!(
            "{here} can't be written to ({error}): change its owner or mode, or set MAINSTAY_DATA_DIR"
        ));
    }
    let is_there = existing == or_here(path);
    Ok(if is_there {
        format!("{shown} can be written to")
    } else {
        format!("{shown} will be created at the start")
    })
}

/// The parent of a bare name is the empty path, which means here.
fn or_here(path: &Path) -> &Path {
    if path == Path::new("") { Path::new(".") } else { path }
}

fn tokens(file: &TokenFile, context: &Context) -> Result<String, String> {
    let Some(tokens) = file.read().map_err(|error| error.to_string())? else {
        return Ok("none; open to this machine alone (make one with `mainstay token create`)".into());
    };
    let mode = std::fs::metadata(file.path()).map_or(0, |data| data.permissions().mode());
    if mode & 0o022 != 0 {
        let path = file.path().display();
        return Err(format!("{path} can be changed by other users: run `chmod 600 {path}`"));
    }
    let expired = tokens.iter().filter(|token| token.is_expired(context.now)).count();
    Ok(format!(
        "{} in {}, {expired} of them expired",
        tokens.len(),
        file.path().display()
    ))
}

fn sources(folder: &Path) -> Result<String, String> {
    let file = SourceFile::in_folder(folder);
    Ok(match file.read().map_err(|error| error.to_string())? {
        None => "none; Sentry's SDKs need one (make it with `mainstay source create`)".into(),
        Some(sources) => format!("{} in {}", sources.len(), file.path().display()),
    })
}

fn listening(loaded: &Loaded, file: &TokenFile) -> Result<String, String> {
    // A file that can't be read proves no token.
    let tokens_exist = matches!(file.read(), Ok(Some(tokens)) if !tokens.is_empty());
    match refuse_open_listen(loaded.address, tokens_exist) {
        Some(reason) => Err(reason),
        None => Ok(format!("on {}", loaded.listen_address())),
    }
}

/// Whether a start would meet another instance, or another program on its port.
fn running(loaded: &Loaded) -> Result<String, String> {
    let folder = &loaded.settings.storage.data_dir;
    if let Some(running) = crate::app::running_instance(folder) {
        return Ok(format!(
            "pid {} uses {}; a second start there is refused",
            running.pid,
            folder.display()
        ));
    }
    let address = loaded.listen_address();
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(format!("not running; {address} is free")),
        Err(error) => Err(format!(
            "{address} can't be listened on ({error}): set ROCKET_PORT, or free it"
        )),
    }
}

fn dashboard(folder: &Path) -> Result<String, String> {
    if folder.join("index.html").is_file() {
        return Ok(format!(
            "{} is served instead of the built-in dashboard",
            folder.display()
        ));
    }
    Err(format!(
        "{} has no index.html: set MAINSTAY_STATIC_DIR to the folder that has, or remove it",
        folder.display()
    ))
}
