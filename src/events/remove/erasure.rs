//! What an erasure does besides removing events (floor 2): groups forget the user, and the file what it held.
//!
//! What must stay true: every step is short, can be repeated, and leaves everything true. After the last one neither rows,
//! text index, free pages nor the log hold what was erased: removals overwrite what they delete, and the writer always
//! does in pages that stay in use (`secure_delete = FAST`); the text index is merged whole, which drops the words of
//! removed events; free pages are filled with zeros; the log is brought into the file and cut to nothing. What can't be
//! reached: a page that the index gave back in an earlier merge, and of which a long value has taken the first part since.

use std::time::Duration;

use rusqlite::Connection;

use super::preview::ROUND;
use super::purges::user_of;
use super::rows::{Wiping, newest_received};
use super::{Asked, Terms, erased, receipts};
use crate::clock;
use crate::db::{Checkpoint, Database, DbError, Effect, Operation};
use crate::events::life;

/// Pages that one step of a merge writes, about 5 ms of work.
const MERGE_PAGES: i32 = 48;
/// Free pages that one step overwrites: a mebibyte.
const WIPED_AT_ONCE: i64 = 256;
/// Groups that one step looks after.
const GROUPS_AT_ONCE: usize = 50;
/// Between two steps.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two tries to cut the log, and how many.
const LOG_PAUSE: Duration = Duration::from_millis(250);
const LOG_TRIES: u32 = 40;

/// From now on nothing older of the user is taken in, and their receipt won't name them. Where the clock has been set back,
/// what came before that goes too.
pub(super) fn announce(c: &Connection, asked: &mut Asked) -> rusqlite::Result<()> {
    let user = user_of(&asked.filter).unwrap_or_default();
    let hash = erased::forget(c, user, asked.now_ms)?;
    asked.shown = serde_json::json!({ "userHash": hash }).to_string();
    asked.bound_ms = asked.bound_ms.max(newest_received(c)?);
    Ok(())
}

/// Places of the user's events that wait for the text index, newest first before a place; and where to go on, if there may
/// be more.
pub(super) fn unindexed(c: &Connection, user: &str, before: i64) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let mut waiting = c.prepare_cached(
        "SELECT q.at, CAST(e.user_id AS TEXT) IS ?2
         FROM (SELECT at FROM to_index WHERE at < ?1 ORDER BY at DESC LIMIT ?3) AS q LEFT JOIN events AS e USING (at)
         ORDER BY q.at DESC",
    )?;
    let mut rows = waiting.query((before, user, ROUND as i64))?;
    let (mut places, mut last, mut seen) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        let at: i64 = row.get(0)?;
        if row.get(1)? {
            places.push(at);
        }
        (last, seen) = (Some(at), seen + 1);
    }
    Ok((places, last.filter(|_| seen == ROUND)))
}

/// The groups and the receipts forget the user, and what the first of their events said where masks are now.
pub(super) async fn leave_groups(database: &Database, id: i64, user: &str) -> Result<(), DbError> {
    let wanted = user.to_owned();
    let find = move |c: &Connection| groups_of(c, id, &wanted);
    let groups = database.read(Operation::scan("events.erase_groups"), find).await?;
    let mut from = 0;
    while from < groups.len() {
        let some: Vec<i64> = groups[from..].iter().take(GROUPS_AT_ONCE).copied().collect();
        let user = user.to_owned();
        let job = move |c: &Connection| leave_some(c, &some, &user).map(Effect::Commit);
        from += step(database, "events.erase_groups", job).await?;
    }
    let user = user.to_owned();
    let forget = move |c: &Connection| receipts::forget_user(c, &user).map(Effect::Commit);
    step(database, "events.erase_groups", forget).await
}

/// The groups that name the user, and those that events of theirs left: a group names a thousand users at most.
pub(super) fn groups_of(c: &Connection, id: i64, user: &str) -> rusqlite::Result<Vec<i64>> {
    c.prepare(
        "SELECT group_id FROM group_users WHERE user = ?2
         UNION SELECT group_id FROM purge_groups WHERE purge_id = ?1
         UNION SELECT g.id FROM purge_groups AS p JOIN groups AS g ON g.parent = p.group_id WHERE p.purge_id = ?1",
    )?
    .query_map((id, user), |row| row.get(0))?
    .collect()
}

/// From the first on until the share of time is over; how many, and one at least.
fn leave_some(c: &Connection, groups: &[i64], user: &str) -> rusqlite::Result<usize> {
    let (began, share) = (clock::now(), Terms::default().share);
    for (done, group) in groups.iter().enumerate() {
        if done > 0 && clock::since(began) >= share {
            return Ok(done);
        }
        leave(c, *group, user)?;
    }
    Ok(groups.len())
}

fn leave(c: &Connection, group: i64, user: &str) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM group_users WHERE group_id = ?1 AND user = ?2")?
        .execute((group, user))?;
    c.prepare_cached(
        "UPDATE groups SET explanation = json_remove(explanation, '$.masked')
         WHERE id = ?1 AND json_valid(explanation) AND explanation LIKE '%\"masked\"%'",
    )?
    .execute([group])?;
    let root = crate::events::group::root(c, group)?.unwrap_or(group);
    life::users_counted(c, root)
}

async fn step<T: Send + 'static>(
    database: &Database,
    name: &'static str,
    job: impl FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
) -> Result<T, DbError> {
    let done = database
        .write(Operation::write(name).idempotent().in_background(), job)
        .await?;
    tokio::time::sleep(PAUSE).await;
    Ok(done)
}

/// Nothing of what was deleted is left in the file or its log; whether that can be said for certain.
pub(super) async fn wipe(database: &Database) -> Result<bool, DbError> {
    merge_index(database).await?;
    wipe_free_pages(database).await?;
    cut_log(database).await
}

/// Merges the whole text index, in small steps: a negative number of pages begins that, as SQLite documents, and
/// positive ones go on until nothing more changes.
async fn merge_index(database: &Database) -> Result<(), DbError> {
    let mut pages = -MERGE_PAGES;
    loop {
        let job = move |c: &Connection| {
            let _wiping = Wiping::begin(c)?;
            let before = c.total_changes();
            c.prepare_cached("INSERT INTO event_text (event_text, rank) VALUES ('merge', ?1)")?
                .execute([pages])?;
            Ok(Effect::Commit(c.total_changes() - before > 1))
        };
        let goes_on = step(database, "events.erase_merge", job).await?;
        if !goes_on && pages > 0 {
            return Ok(());
        }
        pages = MERGE_PAGES;
    }
}

/// How long a value is that takes exactly so many pages besides its row, and fills each to its last byte: what isn't
/// filled would keep what stood there. By the rules of SQLite's file format, section 1.6: a page of a long value holds 4
/// bytes less than a page, and the row keeps at least `least`.
fn filling(pages: i64, page: i64) -> i64 {
    /// A row's own few bytes, so that they don't tip the value over into one more page.
    const MARGIN: i64 = 64;
    let least = (page - 12) * 32 / 255 - 23;
    pages * (page - 4) + least + MARGIN
}

/// Fills the free pages with zeros, and frees them again. Others free and take pages meanwhile, so there is a bound.
async fn wipe_free_pages(database: &Database) -> Result<(), DbError> {
    let free = |c: &Connection| c.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let mut left = 2 * database.read(Operation::scan("events.erase_free_pages"), free).await? + WIPED_AT_ONCE;
    loop {
        let fill = move |c: &Connection| {
            let pages = free(c)?.min(WIPED_AT_ONCE);
            let page: i64 = c.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            if pages > 0 {
                let sql = "INSERT INTO wiped_pages (zeros) VALUES (zeroblob(?1))";
                c.execute(sql, [filling(pages, page)])?;
            }
            Ok(Effect::Commit(pages))
        };
        let filled = step(database, "events.erase_free_pages", fill).await?;
        left -= filled;
        if filled == 0 || left < 0 {
            break;
        }
    }
    let empty = |c: &Connection| {
        let sql = "DELETE FROM wiped_pages WHERE id = (SELECT max(id) FROM wiped_pages)";
        Ok(Effect::Commit(c.execute(sql, [])?))
    };
    while step(database, "events.erase_free_pages", empty).await? > 0 {}
    Ok(())
}

/// Brings the log into the file and cuts it to nothing, once no reader is in the way.
async fn cut_log(database: &Database) -> Result<bool, DbError> {
    for _ in 0..LOG_TRIES {
        let database = database.clone();
        let cut = tokio::task::spawn_blocking(move || database.checkpoint(Checkpoint::Truncate)).await;
        if let Ok(report) = cut
            && report.is_ok_and(|report| !report.busy && report.is_complete())
        {
            return Ok(true);
        }
        tokio::time::sleep(LOG_PAUSE).await;
    }
    Ok(false)
}
