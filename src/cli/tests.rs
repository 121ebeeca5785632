use std::path::{Path, PathBuf};

use clap::CommandFactory;
use tempfile::TempDir;

use super::*;
use crate::config::TomlFile;

/// What a command wrote and how it ended.
struct Ended {
    code: ExitCode,
    out: String,
    err: String,
}

struct Bench {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut sources = Sources {
            environment: self
                .environment
                .iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            toml: Some(TomlFile {
                path: "Rocket.toml".into(),
                text: "[default]\nmainstay_slow_request_ms = 700\n".into(),
            }),
        };
        if !self.environment.iter().any(|(key, _)| key == "MAINSTAY_DATA_DIR") {
            sources
                .environment
                .push(("MAINSTAY_DATA_DIR".into(), self.data().into()));
        }
        let now = "2025-06-01T12:00:00Z".parse().unwrap();
        let cli = Cli::try_parse_from([&["mainstay"], arguments].concat()).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut terminal = Terminal {
            out: &mut out,
            err: &mut err,
        };
        let code = dispatch(cli, Context { sources, now }, &mut terminal);
        Ended {
            code,
            out: String::from_utf8(out).unwrap(),
            err: String::from_utf8(err).unwrap(),
        }
    }
}

fn assert_code(ended: &Ended, code: u8) {
    assert_eq!(
        ended.code,
        ExitCode::from(code),
        "out: {}\nerr: {}",
        ended.out,
        ended.err
    );
}

fn usage_error(arguments: &[&str]) -> String {
    let error = Cli::try_parse_from([&["mainstay"], arguments].concat()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn every_command_and_flag_has_help_and_the_commands_have_examples() {
    fn look(command: &clap::Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name} has no help");
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {} has no help",
                argument.get_id()
            );
        }
        let is_leaf = command.get_subcommands().next().is_none();
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(!is_leaf || after.contains("Example"), "{name} has no example");
        command.get_subcommands().for_each(look);
    }
    Cli::command().debug_assert();
    look(&Cli::command());
    let help = Cli::command().render_long_help().to_string();
    assert!(
        help.contains("Exit codes") && help.contains("wrong configuration"),
        "{help}"
    );
    assert!(Cli::command().render_version().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn no_command_is_serve() {
    assert!(Cli::try_parse_from(["mainstay"]).unwrap().command.is_none());
    assert!(matches!(
        Cli::try_parse_from(["mainstay", "serve"]).unwrap().command,
        Some(Command::Serve)
    ));
}

#[test]
fn config_shows_values_and_their_sources() {
    let ended = Bench::new()
        .with("DB_POOL_MAX", "20")
        .with("ROCKET_PORT", "0")
        .run(&["config"]);
    assert_code(&ended, 0);
    let row = |name: &str| {
        let line = ended.out.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .map(Into::into)
            .collect::<Vec<String>>()
            .join(" ")
    };
    assert_eq!(
        row("DB_POOL_MAX"),
        "DB_POOL_MAX 20 connections environment variable DB_POOL_MAX"
    );
    assert_eq!(
        row("MAINSTAY_SLOW_REQUEST_MS"),
        "MAINSTAY_SLOW_REQUEST_MS 700 milliseconds Rocket.toml, key mainstay_slow_request_ms"
    );
    assert_eq!(row("ROCKET_PORT"), "ROCKET_PORT 0 environment variable ROCKET_PORT");
    assert_eq!(row("MAINSTAY_STATIC_DIR"), "MAINSTAY_STATIC_DIR (unset) default");
    assert_eq!(ended.err, "");
}

#[test]
fn config_as_json_has_ranges_and_warnings() {
    let ended = Bench::new().with("DB_POOLMAX", "20").run(&["config", "--json"]);
    assert_code(&ended, 0);
    let document: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let settings = document["settings"].as_array().unwrap();
    let setting = settings
        .iter()
        .find(|setting| setting["name"] == "DB_POOL_MAX")
        .unwrap();
    assert_eq!(setting["value"], "50");
    assert_eq!(setting["allowed"], "a whole number of connections from 1 to 1000");
    assert_eq!(document["warnings"].as_array().unwrap().len(), 1);
    assert!(
        ended.err.starts_with("warning: environment variable DB_POOLMAX"),
        "{}",
        ended.err
    );
}

#[test]
fn a_wrong_configuration_ends_every_command_with_2_and_all_errors() {
    let bench = Bench::new().with("DB_POOL_MAX", "0").with("MAINSTAY_NOPE", "1");
    for arguments in [&["config"][..], &["serve"], &[], &["token", "list"]] {
        let ended = bench.run(arguments);
        assert_code(&ended, 2);
        assert_eq!(ended.out, "");
        assert!(
            ended.err.starts_with("mainstay: the configuration has 2 errors:\n"),
            "{}",
            ended.err
        );
    }
    let ended = bench.run(&["check"]);
    assert_code(&ended, 2);
    assert_eq!(
        ended
            .out
            .lines()
            .filter(|line| line.starts_with("FAIL  configuration: "))
            .count(),
        2,
        "{}",
        ended.out
    );
}

#[test]
fn check_is_content_with_an_empty_place_and_creates_nothing() {
    let bench = Bench::new();
    let ended = bench.run(&["check"]);
    assert_code(&ended, 0);
    assert!(
        ended.out.lines().all(|line| line.starts_with("ok    ")),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("data folder: ") && ended.out.contains("will be created"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("ok    listening: on 127.0.0.1:3000"),
        "{}",
        ended.out
    );
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn check_says_what_to_do_about_each_failure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below_a_file = file.path().join("data");
    let bench = Bench::new()
        .with("MAINSTAY_DATA_DIR", below_a_file.to_str().unwrap())
        .with("ROCKET_ADDRESS", "0.0.0.0")
        .with("MAINSTAY_STATIC_DIR", "/nowhere");
    let ended = bench.run(&["check"]);
    assert_code(&ended, 1);
    for (line, remedy) in [
        ("FAIL  data folder: ", "set MAINSTAY_DATA_DIR"),
        ("FAIL  listening: ", "mainstay token create"),
        ("FAIL  dashboard folder: ", "set MAINSTAY_STATIC_DIR"),
    ] {
        assert!(
            ended.out.lines().any(|l| l.starts_with(line) && l.contains(remedy)),
            "{line}\n{}",
            ended.out
        );
    }
}

#[test]
fn check_looks_into_the_token_file() {
    let bench = Bench::new().with("ROCKET_ADDRESS", "0.0.0.0");
    assert_code(&bench.run(&["token", "create", "--scope", "admin"]), 0);
    let ended = bench.run(&["check"]);
    assert_code(&ended, 0);
    assert!(ended.out.contains("ok    tokens: 1 in "), "{}", ended.out);
    let path = bench.data().join("tokens.json");
    set_mode(&path, 0o666);
    assert!(bench.run(&["check"]).out.contains("FAIL  tokens: "));
    set_mode(&path, 0o600);
    std::fs::write(&path, "{").unwrap();
    let ended = bench.run(&["check"]);
    assert_code(&ended, 1);
    assert!(ended.out.contains("is not a valid token file"), "{}", ended.out);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_token_is_alone_on_standard_output_and_lives_until_it_is_revoked() {
    let bench = Bench::new();
    let created = bench.run(&[
        "token",
        "create",
        "--scope",
        "data:read,ingest",
        "--scope",
        "data:write",
        "--collection",
        "notes",
        "--expires",
        "30d",
        "--name",
        "shop",
    ]);
    assert_code(&created, 0);
    let token = created.out.strip_suffix('\n').unwrap();
    assert_eq!((token.len(), token.contains(char::is_whitespace)), (77, false));
    assert!(
        created.err.contains("shown once") && !created.err.contains(&token[13..]),
        "{}",
        created.err
    );

    let listed = bench.run(&["token", "list"]);
    let row: Vec<&str> = listed.out.lines().nth(1).unwrap().split_whitespace().collect();
    let id = &token[4..12];
    assert_eq!(
        row,
        [
            id,
            "shop",
            "ingest,data:read,data:write",
            "notes",
            "2025-06-01T12:00:00.000Z",
            "2025-07-01T12:00:00.000Z"
        ]
    );
    assert!(!listed.out.contains(&token[13..]));
    let json: serde_json::Value = serde_json::from_str(&bench.run(&["token", "list", "--json"]).out).unwrap();
    assert_eq!(
        (&json["tokens"][0]["id"], &json["tokens"][0]["expired"]),
        (&id.into(), &false.into())
    );
    assert!(json["tokens"][0].get("hash").is_none());

    let revoked = bench.run(&["token", "revoke", id]);
    assert_code(&revoked, 0);
    assert!(revoked.err.contains("the last one"), "{}", revoked.err);
    let again = bench.run(&["token", "revoke", id]);
    assert_code(&again, 1);
    assert!(again.err.contains("token list"), "{}", again.err);
    assert!(bench.run(&["token", "list"]).err.contains("no tokens"));
}

#[test]
fn token_list_and_revoke_create_nothing() {
    let bench = Bench::new();
    assert_code(&bench.run(&["token", "list"]), 0);
    assert_code(&bench.run(&["token", "revoke", "00000000"]), 1);
    assert!(!bench.data().exists());
}

#[test]
fn a_token_that_makes_no_sense_is_a_usage_error() {
    let bench = Bench::new();
    let ended = bench.run(&["token", "create", "--scope", "ingest", "--collection", "notes"]);
    assert_code(&ended, 2);
    assert_eq!(ended.out, "");
    assert!(ended.err.contains("data:read and data:write"), "{}", ended.err);
    assert_code(
        &bench.run(&[
            "token",
            "create",
            "--scope",
            "ingest",
            "--expires",
            "2020-01-01T00:00:00Z",
        ]),
        2,
    );

    assert!(usage_error(&["token", "create"]).contains("--scope"));
    assert!(usage_error(&["token", "create", "--scope", "monitor"]).contains("monitor:read"));
    assert!(usage_error(&["token", "create", "--scope", "ingest", "--expires", "soon"]).contains("30d"));
    assert!(
        usage_error(&["token", "create", "--scope", "ingest", "--name", "\u{1b}[31m"]).contains("control characters")
    );
    assert!(usage_error(&["token", "revoke"]).contains("<ID>"));
    assert!(usage_error(&["confg"]).contains("config"));
}

#[test]
fn a_source_has_a_dsn_that_is_shown_once() {
    let bench = Bench::new().with("ROCKET_PORT", "8080");
    assert_code(&bench.run(&["source", "list"]), 0);
    assert_code(&bench.run(&["source", "revoke", "shop"]), 1);
    assert!(!bench.data().exists());

    let created = bench.run(&["source", "create", "shop"]);
    assert_code(&created, 0);
    let dsn = created.out.strip_suffix('\n').unwrap();
    let key = dsn
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("@127.0.0.1:8080/1")
        .unwrap();
    assert!(crate::access::is_key(key), "{dsn}");
    for part in [
        dsn,
        "sentry_sdk.init",
        "@sentry/node",
        "@sentry/browser",
        "sentry::init",
    ] {
        assert!(created.err.contains(part), "{}", created.err);
    }
    let other = bench.run(&["source", "create", "web", "--url", "https://errors.example.com/here/"]);
    assert!(other.out.ends_with("@errors.example.com/here/2\n"), "{}", other.out);
    assert_code(&bench.run(&["source", "create", "shop"]), 1);
    assert_code(&bench.run(&["source", "create", " "]), 2);

    let listed = bench.run(&["source", "list"]).out;
    assert_eq!(
        listed.lines().nth(1),
        Some("1        shop  -      2025-06-01T12:00:00.000Z")
    );
    assert!(!listed.contains(key) && !bench.run(&["source", "list", "--json"]).out.contains(key));
    assert!(bench.run(&["check"]).out.contains("ok    sources: 2 in "));
    assert_code(&bench.run(&["source", "revoke", "shop"]), 0);
    assert_code(&bench.run(&["source", "revoke", "shop"]), 1);
    assert!(usage_error(&["source", "create", "x", "--url", "here"]).contains("https://errors.example.com"));
}
