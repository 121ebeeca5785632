//! Erasing a user while nothing of theirs is in the text index.

use rusqlite::Connection;

use super::*;
use crate::clock::{SharedClock, SystemClock, from_epoch_ms};
use crate::config::DatabaseSettings;
use crate::db::{Options, Unobserved};
use crate::events::group::Engine;
use crate::events::store::{Prepared, insert};
use crate::events::{MIGRATIONS, Spool, channel, parse};

const NOW: i64 = 1_750_000_000_000;

fn open(folder: &std::path::Path, name: &str) -> Database {
    let options = Options {
        name: "events",
        path: folder.join(name),
        application_id: 1,
        migrations: MIGRATIONS,
        settings: DatabaseSettings::default(),
    };
    Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens")
}

fn event(number: usize) -> Prepared {
    let user = ["alice", "bob"][number % 2];
    let text = format!(r#"{{"message":"m {number}","userId":"{user}"}}"#);
    Prepared::new(parse::event(&text, from_epoch_ms(NOW + number as i64)).expect("sound"))
}

#[tokio::test]
async fn an_erasure_does_not_wait_for_the_text_index() {
    let folder = tempfile::tempdir().expect("a folder");
    // The log has a file of its own, so that nobody indexes the one that is looked at.
    let (database, other) = (open(folder.path(), "events.db"), open(folder.path(), "other.db"));
    let store = |c: &Connection| {
        let batch: Vec<Prepared> = (0..5000).map(event).collect();
        insert(c, &batch, &mut Engine::default()).map(|_| Effect::Commit(()))
    };
    database
        .write(Operation::write("t.store"), store)
        .await
        .expect("stored");
    let clock: SharedClock = SystemClock::shared();
    let (_capture, captures) = channel(clock);
    let spool = Spool::open(&folder.path().join("spool"), 1 << 20).expect("opens");
    let log = EventLog::start(other, spool, captures, &DatabaseSettings::default().operation);
    let purges = Purges::start(database.clone(), log);
    let asked = Asked {
        kind: Kind::Erasure,
        filter: query::Filter {
            values: vec![(Field::UserId, "bob".to_owned())],
            ..query::Filter::default()
        },
        shown: "{}".to_owned(),
        actor: "me".to_owned(),
        reason: None,
        now_ms: NOW + 10_000,
        bound_ms: NOW + 10_000,
        token: None,
    };
    let mut receipt = purges.begin(asked).await.expect("begun").expect("as it was");
    while receipt.status == Status::Running {
        tokio::time::sleep(PAUSE).await;
        receipt = purges.get(receipt.id).await.expect("read").expect("there");
    }
    assert_eq!(receipt.status, Status::Done);
    let left = |c: &Connection| {
        let count = |user: &str| {
            let sql = "SELECT count(*) FROM events JOIN to_index USING (at) WHERE user_id = ?1";
            c.query_row(sql, [user], |row| row.get::<_, i64>(0))
        };
        Ok((count("alice")?, count("bob")?))
    };
    let left = database.read(Operation::scan("t.count"), left).await.expect("read");
    assert_eq!(left, (2500, 0));
}
