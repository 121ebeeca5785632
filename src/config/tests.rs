use std::path::Path;
use std::time::Duration;

use super::keys::{KEYS, Key, Kind};
use super::*;

/// Sources made of text.
fn sources(environment: &[(&str, &str)], toml: Option<&str>) -> Sources {
    Sources {
        environment: environment
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        toml: toml.map(|text| TomlFile {
            path: "Rocket.toml".into(),
            text: text.into(),
        }),
    }
}

fn loaded(environment: &[(&str, &str)], toml: &str) -> Loaded {
    load(&sources(environment, Some(toml))).unwrap()
}

/// The findings as text, for a configuration that must be refused.
fn refused(environment: &[(&str, &str)], toml: &str) -> String {
    load(&sources(environment, Some(toml))).unwrap_err().to_string()
}

fn row<'l>(loaded: &'l Loaded, name: &str) -> &'l Effective {
    loaded.effective.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn without_any_source_the_defaults_of_the_structs_apply() {
    let loaded = load(&Sources::default()).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!((loaded.address.to_string().as_str(), loaded.port), ("127.0.0.1", 3000));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    for row in &loaded.effective {
        assert_eq!(row.source, "default", "{}", row.name);
        assert_eq!(row.value, row.default, "{}", row.name);
    }
}

#[test]
fn rocket_gets_our_defaults_for_its_own_keys() {
    let loaded = load(&Sources::default()).unwrap();
    let config = rocket::Config::try_from(&loaded.figment).unwrap();
    assert_eq!(config.port, 3000);
    assert_eq!(config.ip_header, None);
    assert!(!config.shutdown.ctrlc && config.shutdown.signals.is_empty());
    assert_eq!(config.log_level, rocket::config::LogLevel::Off);
}

#[test]
fn every_key_changes_a_field_and_no_two_the_same() {
    let mut seen = vec![Settings::default()];
    for key in KEYS {
        let value = match key.kind {
            Kind::Whole { min, max, .. } => {
                let default: u64 = key.default.unwrap().parse().unwrap();
                assert!((min..=max).contains(&default), "{}", key.name);
                (if default == max { min } else { max }).to_string()
            }
            Kind::Folder { .. } => "elsewhere".into(),
        };
        let mut settings = Settings::default();
        key.apply(&value, &mut settings).unwrap();
        assert!(!seen.contains(&settings), "{} sets nothing of its own", key.name);
        seen.push(settings);
    }
}

#[test]
fn both_ends_of_every_range_are_allowed_and_what_lies_beyond_is_not() {
    for key in KEYS {
        let Kind::Whole { min, max, .. } = key.kind else {
            continue;
        };
        let settings = &mut Settings::default();
        for inside in [min, max] {
            assert_eq!(key.apply(&inside.to_string(), settings), Ok(()), "{}", key.name);
        }
        for outside in min.checked_sub(1).into_iter().chain([max + 1]) {
            assert!(
                key.apply(&outside.to_string(), settings).is_err(),
                "{} took {outside}",
                key.name
            );
        }
    }
}

#[test]
fn the_environment_beats_every_profile_of_the_file_and_the_file_the_default() {
    let toml = "[default]\ndb_pool_max = 20\ndb_max_attempts = 7\n[global]\ndb_pool_min = 3\n";
    let loaded = loaded(&[("DB_POOL_MAX", "30"), ("DB_POOL_MIN", "4")], toml);
    let pool = &loaded.settings.database.pool;
    assert_eq!(
        (pool.max, pool.min, loaded.settings.database.retry.max_attempts),
        (30, 4, 7)
    );
    assert_eq!(row(&loaded, "DB_POOL_MAX").source, "environment variable DB_POOL_MAX");
    assert_eq!(row(&loaded, "DB_POOL_MAX").value.as_deref(), Some("30"));
    assert_eq!(
        row(&loaded, "DB_MAX_ATTEMPTS").source,
        "Rocket.toml, key db_max_attempts"
    );
    assert_eq!(row(&loaded, "DB_SLOW_QUERY_MS").source, "default");
}

#[test]
fn the_selected_profile_counts_and_others_do_not() {
    let toml = "[default]\ndb_pool_max = 20\n[box]\ndb_pool_max = 21\nport = 4000\n[other]\ndb_pool_max = 22\n";
    let chosen = loaded(&[("ROCKET_PROFILE", "box")], toml);
    assert_eq!((chosen.settings.database.pool.max, chosen.port), (21, 4000));
    assert_eq!(loaded(&[], toml).settings.database.pool.max, 20);
}

#[test]
fn short_times_are_allowed_and_reach_their_fields() {
    let environment = [
        ("DB_LOCK_TIMEOUT_MS", "50"),
        ("DB_HEALTH_INTERVAL", "1"),
        ("DB_BREAKER_TIMEOUT_MS", "100"),
        ("DB_RETRY_DELAY_MS", "1"),
        ("MAINSTAY_SPOOL_MAX_MIB", "2"),
        ("MAINSTAY_EVENTS_MAX_MIB", "3"),
        ("MAINSTAY_EVENTS_MAX_COUNT", "0"),
        ("MAINSTAY_DATA_DIR", "1"),
    ];
    let settings = loaded(&environment, "").settings;
    assert_eq!(settings.database.operation.lock_timeout, Duration::from_millis(50));
    assert_eq!(settings.database.health.interval, Duration::from_secs(1));
    assert_eq!(settings.database.breaker.open_for, Duration::from_millis(100));
    assert_eq!(settings.database.retry.base_delay, Duration::from_millis(1));
    assert_eq!(settings.storage.spool_max_bytes, 2 << 20);
    assert_eq!(
        (settings.retention.max_bytes, settings.retention.max_count),
        (3 << 20, 0)
    );
    assert_eq!(settings.storage.data_dir, Path::new("1"));
}

#[test]
fn all_wrong_keys_are_reported_at_once_with_value_range_and_place() {
    let toml = "[default]\ndb_max_attempts = 0\nport = \"http\"\ndb_slow_query_ms = 1.5\n";
    let environment = [
        ("DB_POOL_MAX", "many"),
        ("DB_IDLE_TIMEOUT", "10s"),
        ("MAINSTAY_EVENTS_MAX_DAYS", "90d"),
        ("MAINSTAY_EVENTS_MAX_DISK_PERCENT", "96"),
        ("MAINSTAY_DATA_DIR", " "),
    ];
    let text = refused(&environment, toml);
    let expected = [
        r#"DB_POOL_MAX = "many": must be a whole number of connections from 1 to 1000 (from environment variable DB_POOL_MAX)"#,
        r#"DB_IDLE_TIMEOUT = "10s": must be a whole number of seconds from 1 to 86400, written without a unit (whole seconds)"#,
        r#"DB_MAX_ATTEMPTS = "0": must be a whole number of attempts from 1 to 100 (from Rocket.toml, key db_max_attempts)"#,
        "DB_SLOW_QUERY_MS: must be a whole number of milliseconds from 1 to 3600000, not a number with a fraction",
        r#"MAINSTAY_EVENTS_MAX_DAYS = "90d": must be a whole number of days from 0 to 3650, written without a unit (whole days)"#,
        r#"MAINSTAY_EVENTS_MAX_DISK_PERCENT = "96": must be a whole number of percent from 0 to 95 (from environment variable"#,
        r#"MAINSTAY_DATA_DIR = " ": must be the path of a folder, not empty"#,
        r#"ROCKET_PORT = "http": must be a whole number from 0 to 65535 (0 takes a free port) (from Rocket.toml, key port)"#,
    ];
    for line in expected {
        assert!(text.contains(line), "missing: {line}\n{text}");
    }
    assert_eq!(text.lines().count(), expected.len(), "{text}");
}

#[test]
fn what_is_not_plain_digits_is_not_a_whole_number() {
    for value in [
        "",
        "-1",
        "+5",
        "5.0",
        "1e2",
        " 5",
        "5 ",
        "0x5",
        "1_0",
        "٥",
        "18446744073709551616",
    ] {
        let text = refused(&[("DB_POOL_MAX", value)], "");
        assert!(
            text.starts_with(&format!("DB_POOL_MAX = {value:?}: must be a whole number")),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_rocket_key_has_the_same_kind_of_error_and_none_hides_another() {
    let environment = [
        ("ROCKET_PORT", "70000"),
        ("ROCKET_ADDRESS", "localhost"),
        ("ROCKET_KEEP_ALIVE", "soon"),
    ];
    let text = refused(&environment, "");
    for line in [
        r#"ROCKET_PORT = "70000": must be a whole number from 0 to 65535"#,
        r#"ROCKET_ADDRESS = "localhost": must be an IP address such as 127.0.0.1, ::1 or 0.0.0.0 (not a name) (from environment variable ROCKET_ADDRESS)"#,
        "(from environment variable ROCKET_KEEP_ALIVE)",
    ] {
        assert!(text.contains(line), "missing: {line}\n{text}");
    }
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn rocket_keys_from_the_environment_reach_rocket_and_are_shown() {
    let loaded = loaded(
        &[
            ("ROCKET_PORT", "0"),
            ("ROCKET_ADDRESS", "::1"),
            ("ROCKET_LIMITS", "{json=9}"),
        ],
        "",
    );
    assert_eq!((loaded.address.to_string().as_str(), loaded.port), ("::1", 0));
    assert_eq!(row(&loaded, "ROCKET_PORT").source, "environment variable ROCKET_PORT");
    let config = rocket::Config::try_from(&loaded.figment).unwrap();
    assert_eq!(config.limits.get("json"), Some(9.into()));
}

#[test]
fn rockets_signal_handlers_stay_off_and_asking_for_them_is_a_warning() {
    let loaded = loaded(
        &[],
        "[default.shutdown]\nctrlc = true\nsignals = [\"hup\"]\ngrace = 9\n",
    );
    let config = rocket::Config::try_from(&loaded.figment).unwrap();
    assert!(!config.shutdown.ctrlc && config.shutdown.signals.is_empty());
    assert_eq!(config.shutdown.grace, 9);
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_both_places() {
    let text = refused(&[("DB_POOL_MAX", "3")], "");
    assert!(
        text.starts_with(
            r#"DB_POOL_MIN = "5": must not be above DB_POOL_MAX = 3 (from environment variable DB_POOL_MAX)"#
        ),
        "{text}"
    );
    assert!(text.ends_with("(from default)"), "{text}");
    let text = refused(&[("DB_OPERATION_TIMEOUT_MS", "500")], "");
    assert!(
        text.starts_with(r#"DB_LOCK_TIMEOUT_MS = "1000": must not be above DB_OPERATION_TIMEOUT_MS = 500"#),
        "{text}"
    );
    loaded(&[("DB_OPERATION_TIMEOUT_MS", "500"), ("DB_LOCK_TIMEOUT_MS", "500")], "");
    loaded(&[("DB_CONNECT_TIMEOUT", "60")], "");
}

#[test]
fn a_key_that_is_wrong_by_itself_is_not_also_a_contradiction() {
    assert_eq!(refused(&[("DB_POOL_MIN", "5000")], "").lines().count(), 1);
}

#[test]
fn unknown_names_are_refused_or_warned_about_with_the_nearest_known_one() {
    let text = refused(
        &[("MAINSTAY_DATADIR", "x"), ("MAINSTAY_DB_POOL_MAX", "5")],
        "[default]\ndb_pool_mxa = 5\n",
    );
    assert!(
        text.contains("MAINSTAY_DATADIR: is not a setting; the nearest known name is MAINSTAY_DATA_DIR (from env"),
        "{text}"
    );
    assert!(
        text.contains("MAINSTAY_DB_POOL_MAX: is not a setting; the nearest known name is DB_POOL_MAX"),
        "{text}"
    );
    assert!(text.contains("db_pool_mxa: is not a setting; the nearest known name is db_pool_max (from Rocket.toml, key db_pool_mxa of [default])"), "{text}");

    let environment = [
        ("DB_POOLMAX", "5"),
        ("DB_PASSWORD_FILE", "/x"),
        ("ROCKET_ADRESS", "::1"),
        ("PATH", "/bin"),
    ];
    let warnings = loaded(&environment, "[default]\nprot = 1\n").warnings;
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(
        warnings[0].contains("DB_POOLMAX") && warnings[0].ends_with("DB_POOL_MAX"),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|line| line.ends_with("ROCKET_ADDRESS")),
        "{warnings:?}"
    );
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("key prot") && line.ends_with(" port")),
        "{warnings:?}"
    );
}

#[test]
fn a_key_in_capitals_or_outside_a_profile_is_an_error_in_the_file() {
    let text = refused(&[], "db_pool_max = 5\n[default]\nDB_POOL_MIN = 5\n");
    assert!(
        text.contains("Rocket.toml: the key db_pool_max stands outside a profile"),
        "{text}"
    );
    assert!(
        text.contains("DB_POOL_MIN: is not a setting; the nearest known name is db_pool_min"),
        "{text}"
    );
}

#[test]
fn text_that_is_not_toml_does_not_hide_other_errors() {
    let text = refused(&[("DB_POOL_MAX", "0")], "[default\n");
    assert!(text.contains("Rocket.toml: is not valid TOML"), "{text}");
    assert!(text.contains("DB_POOL_MAX = \"0\""), "{text}");
}

#[test]
fn a_value_can_come_from_a_file_for_every_key() {
    let folder = tempfile::tempdir().unwrap();
    for key in KEYS {
        let path = folder.path().join(key.name);
        std::fs::write(&path, format!("\n {} \n", key.default.unwrap_or("pages"))).unwrap();
        let variable = format!("{}_FILE", key.name);
        let loaded = loaded(&[(&variable, path.to_str().unwrap())], "");
        assert_eq!(
            row(&loaded, key.name).source,
            format!("file {} named by {variable}", path.display())
        );
        assert_eq!(
            row(&loaded, key.name).value.as_deref(),
            Some(key.default.unwrap_or("pages"))
        );
    }
}

#[test]
fn a_value_file_beats_rocket_toml_and_its_value_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("max");
    std::fs::write(&path, "12\n").unwrap();
    let environment = [("DB_POOL_MAX_FILE", path.to_str().unwrap())];
    assert_eq!(
        loaded(&environment, "[default]\ndb_pool_max = 20\n")
            .settings
            .database
            .pool
            .max,
        12
    );
    std::fs::write(&path, "12 s\n").unwrap();
    let text = refused(&environment, "");
    assert!(
        text.contains("DB_POOL_MAX = \"12 s\"") && text.contains("named by DB_POOL_MAX_FILE"),
        "{text}"
    );
}

#[test]
fn a_value_file_that_is_missing_or_given_twice_is_refused() {
    let text = refused(&[("DB_POOL_MAX_FILE", "/nowhere/x")], "");
    assert!(text.starts_with("DB_POOL_MAX: its file can't be read: "), "{text}");
    assert!(
        text.ends_with("(from file /nowhere/x named by DB_POOL_MAX_FILE)"),
        "{text}"
    );
    let text = refused(&[("DB_POOL_MAX_FILE", "/nowhere/x"), ("DB_POOL_MAX", "5")], "");
    assert_eq!(
        text,
        "DB_POOL_MAX: is set twice, as DB_POOL_MAX and as DB_POOL_MAX_FILE: remove one of them"
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_refused_by_name() {
    use std::os::unix::ffi::OsStringExt;
    let mut sources = Sources::default();
    sources
        .environment
        .push(("DB_POOL_MAX".into(), std::ffi::OsString::from_vec(vec![0xff])));
    let text = load(&sources).unwrap_err().to_string();
    assert!(text.starts_with("DB_POOL_MAX: must be valid UTF-8"), "{text}");
}

#[test]
fn a_secret_is_never_shown() {
    let secret = Key {
        secret: true,
        ..KEYS[0]
    };
    assert_eq!(secret.shown("hunter2"), "********");
    assert_eq!(KEYS[0].shown("20"), "20");
}

#[test]
fn the_rocket_toml_of_the_project_loads_without_a_warning() {
    let text = include_str!("../../Rocket.toml");
    let loaded = loaded(&[], text);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(row(&loaded, "ROCKET_PORT").source, "Rocket.toml, key port");
    for key in KEYS.iter().filter(|key| key.default.is_some()) {
        let line = format!("# {} = ", key.field());
        assert!(text.contains(&line), "Rocket.toml doesn't show {}", key.field());
    }
}
