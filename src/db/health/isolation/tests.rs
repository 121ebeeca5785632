//! Looks into an isolated file that nobody waits for any more.

use super::*;
use crate::clock::SystemClock;
use crate::config::DatabaseSettings;
use crate::db::{Options, Unobserved};

fn opened(folder: &std::path::Path) -> Database {
    let options = Options {
        name: "app",
        path: folder.join("app.db"),
        application_id: 7,
        migrations: &[],
        settings: DatabaseSettings::default(),
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens")
}

#[test]
fn a_look_that_was_cancelled_while_it_copied_leaves_everything_to_the_next() {
    let folder = tempfile::tempdir().expect("folder");
    let database = opened(folder.path());
    database.breakers()[1].isolate("SQLite CORRUPT (11)");
    let copies = || {
        let entries = std::fs::read_dir(evidence::folder_beside(database.path()));
        let names = entries.expect("a folder").map(|entry| entry.expect("read").file_name());
        names.filter(|name| name.to_string_lossy().ends_with("Z-app")).count()
    };
    database.examine(&Arc::new(AtomicBool::new(true)));
    assert!(database.is_isolated());
    assert_eq!(copies(), 0);
    let untouched = |case: &Case| case.evidence.is_none() && case.next_check.is_none() && case.report.is_none();
    assert!(
        untouched(&database.inner.health.case.lock()),
        "no verdict on what was not secured"
    );
    database.examine(&Arc::default());
    assert!(!database.is_isolated(), "it is sound");
    assert_eq!(copies(), 1);
}

#[test]
fn a_bad_verdict_that_comes_after_the_file_was_let_back_says_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let database = opened(folder.path());
    database.breakers()[1].isolate("SQLite CORRUPT (11)");
    database.examine(&Arc::default());
    assert!(!database.is_isolated(), "it is sound");
    let (names, findings) = (
        vec!["by b".to_owned()],
        vec!["row 3 missing from index by b".to_owned()],
    );
    assert!(!database.conclude(Verdict::Indexes { names, findings }));
    assert_eq!(database.inner.health.damage(), None);
}

#[test]
fn a_file_that_moved_is_checked_as_soon_as_it_is_back_however_long_the_check_before_took() {
    let folder = tempfile::tempdir().expect("folder");
    let database = opened(folder.path());
    database.isolate_from_outside("the database file was deleted");
    let an_hour = std::time::Duration::from_secs(3600);
    database.inner.health.case.lock().next_check = Some(clock::now() + an_hour);
    database.examine(&Arc::default());
    assert!(database.is_isolated(), "the check before took six minutes");
    database.isolate_from_outside("the database file was deleted");
    database.examine(&Arc::default());
    assert!(!database.is_isolated(), "it has been away, and is sound");
}
