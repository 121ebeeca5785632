//! Groups, keys and events brought where they belong (floor 2), after changes were made or undone.
//!
//! What must stay true: afterwards a swallowed group's parent is one that has none, the oldest of its class; every key has
//! the group that `placing` says, and every event of the newest [`MOST_LOOKED_AT`] of a group the one of its key; what
//! parted is counted anew, and goes on with the status of the whole. Runs inside the caller's write transaction, after
//! `tables::touch`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::changes::{Changes, Did};
use super::placing::Placed;
use super::{counting, parting, tables::How};
use crate::events::life;

/// Most stored events of a group that are looked through when it parts, newest first.
pub const MOST_LOOKED_AT: i64 = 10_000;

/// Brings everything where it belongs; how many events changed their group.
pub(super) fn settle(c: &Connection, changes: &Changes, at_ms: i64) -> rusqlite::Result<u64> {
    let placed = changes.placed_without(&[]);
    let mut affected = place_keys(c, changes, &placed)?;
    affected.extend(place_groups(c, changes, &placed, at_ms)?);
    set_apart(c, changes)?;
    let mut family = Vec::new();
    for root in &affected {
        family.extend(super::family::family(c, *root)?);
    }
    let events = parting::bring_home(c, &family)?;
    for member in &family {
        life::counted(c, *member)?;
    }
    for root in affected {
        counting::recount(c, root)?;
        counting::count_span(c, root)?;
    }
    Ok(events)
}

/// Gives keys their groups; the groups that stand for those that lost or got one.
fn place_keys(c: &Connection, changes: &Changes, placed: &Placed) -> rusqlite::Result<BTreeSet<i64>> {
    let mut affected = BTreeSet::new();
    let mut note = |group: i64| {
        affected.insert(placed.root(group));
    };
    for (hash, at) in &changes.keys {
        let Some(group) = placed.keys.get(hash).filter(|group| *group != at) else {
            continue;
        };
        c.prepare_cached("UPDATE group_keys SET group_id = ?2 WHERE hash = ?1")?
            .execute(params![hash, group])?;
        note(*at);
        note(*group);
    }
    for (group, found) in &changes.groups {
        let own = placed.own(*group);
        if own != *group && found.keys > 0 {
            // Keys that joined a group whose split is undone.
            c.prepare_cached("UPDATE group_keys SET group_id = ?2 WHERE group_id = ?1")?
                .execute([*group, own])?;
            note(own);
        }
    }
    Ok(affected)
}

/// Gives groups their parents, and those that stand for themselves now the status of what they parted from; the groups
/// that stand for those that moved, and for those that they left.
fn place_groups(c: &Connection, changes: &Changes, placed: &Placed, at_ms: i64) -> rusqlite::Result<BTreeSet<i64>> {
    let mut affected = BTreeSet::new();
    let (mut parted, mut swallowed): (BTreeMap<i64, life::Kept>, Vec<(i64, i64)>) = Default::default();
    for (group, found) in &changes.groups {
        let root = placed.root(*group);
        if root == found.root {
            continue;
        }
        affected.extend([root, placed.root(found.root)]);
        if root == *group {
            parted.extend(life::kept(c, found.root)?.map(|kept| (root, kept)));
        } else if found.root == *group {
            swallowed.push((*group, root));
        }
    }
    for (group, found) in &changes.groups {
        let root = placed.root(*group);
        if root != found.root {
            c.prepare_cached(
                "UPDATE groups SET parent = nullif(?2, id), count = CASE ?2 WHEN id THEN count ELSE 0 END WHERE id = ?1",
            )?
            .execute([*group, root])?;
        }
    }
    for (root, kept) in parted {
        life::keep(c, root, &kept)?;
    }
    swallowed.sort_unstable();
    for (group, root) in swallowed {
        life::swallowed(c, group, root, at_ms)?;
    }
    for root in &affected {
        life::shared(c, *root)?;
    }
    Ok(affected)
}

/// What hands took out, and what they took back of the rules, the rules leave alone.
fn set_apart(c: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    let mut apart = BTreeSet::new();
    for change in &changes.all {
        match &change.did {
            Did::United(groups) if change.undone && !change.by_hand => apart.extend(groups.iter().skip(1)),
            Did::Released(groups) if !change.undone => apart.extend(groups),
            Did::Parted { made, .. } if !change.undone => {
                apart.insert(made);
            }
            _ => {}
        }
    }
    let mut set = c.prepare_cached("UPDATE groups SET apart = ?2 WHERE id = ?1 AND apart <> ?2")?;
    for group in changes.groups.keys() {
        set.execute(params![group, apart.contains(group)])?;
    }
    Ok(())
}

/// Keys that are barred: nothing joins them any more.
pub(super) fn bar(c: &Connection, change: i64) -> rusqlite::Result<()> {
    c.execute(
        "UPDATE group_keys SET how = ?2 WHERE hash = (SELECT hash FROM group_changes WHERE id = ?1)",
        params![change, How::Barred as u8],
    )?;
    Ok(())
}
