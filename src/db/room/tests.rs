use std::path::Path;
use std::sync::Arc;

use rusqlite::ffi;

use super::*;
use crate::clock::SystemClock;
use crate::config::{BreakerSettings, DatabaseSettings};
use crate::db::database::Options;
use crate::db::observe::Unobserved;
use crate::db::operation::{Effect, Operation};

const WRITE: Operation = Operation::write("test");

fn open(folder: &Path) -> Database {
    let options = Options {
        name: "app",
        path: folder.join("app.db"),
        application_id: 0,
        migrations: &[],
        settings: DatabaseSettings {
            breaker: BreakerSettings {
                open_for: Duration::from_millis(1),
                ..BreakerSettings::default()
            },
            ..DatabaseSettings::default()
        },
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens")
}

async fn small_write(database: &Database) -> Result<(), DbError> {
    let job = |c: &Connection| c.execute_batch("CREATE TABLE IF NOT EXISTS t(k)").map(Effect::Commit);
    database.write(WRITE, job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_full_is_full_after_a_restart_until_room_was_seen() {
    let folder = tempfile::tempdir().expect("folder");
    let before = open(folder.path());
    let full = |_: &Connection| -> rusqlite::Result<Effect<()>> {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None))
    };
    before.write(WRITE, full).await.expect_err("full");
    assert!(before.status().disk_is_full);
    before.close(Duration::from_secs(5));
    drop(before);

    let after = open(folder.path());
    assert!(after.status().disk_is_full);
    // The open time is long over, and a small write would pass: it must not be asked.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let refused = small_write(&after).await.expect_err("held");
    assert!(matches!(refused.kind, ErrorKind::CircuitOpen { .. }), "{refused}");
    let healed = async {
        while small_write(&after).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let healed = async { tokio::time::timeout(Duration::from_secs(30), healed).await };
    tokio::select! {
        () = after.watch() => unreachable!("it never ends by itself"),
        healed = healed => healed.expect("there is room, and the watch sees it"),
    }
    assert!(!after.status().disk_is_full);
}
