//! Where groups and keys belong by the changes that stand (floor 2): pure.
//!
//! What must stay true: it depends on the changes alone, never on where something is now, so that undoing changes in any
//! order ends where none of them had been; a change whose undoing would leave another that a hand made later with nothing
//! to do, or a group without any key, or everything as it is, has to wait until that other one is undone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::changes::{Change, Changes, Did, Hash};

/// Most later changes that are tried when none is plainly in the way.
const MOST_TRIED: usize = 64;

/// Where everything belongs.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// What each group's class is numbered.
    class: HashMap<i64, usize>,
    members: Vec<Vec<i64>>,
    /// The made groups whose split is undone, each with the group that its first key came from.
    undone: HashMap<i64, i64>,
    /// The groups that have keys which no change ever moved.
    keyed: HashSet<i64>,
    /// The keys that changes moved.
    pub keys: BTreeMap<Hash, i64>,
    /// How much each change had to do.
    did: HashMap<i64, usize>,
}

impl Placed {
    /// The group itself, or the one that it goes back into because its split is undone.
    pub fn own(&self, mut group: i64) -> i64 {
        while let Some(from) = self.undone.get(&group) {
            group = *from;
        }
        group
    }

    /// The group that stands for this one.
    pub fn root(&self, group: i64) -> i64 {
        let own = self.own(group);
        let class = self.class.get(&own).and_then(|class| self.members[*class].iter().min());
        class.copied().unwrap_or(own)
    }

    fn class(&mut self, group: i64) -> usize {
        let own = self.own(group);
        *self.class.entry(own).or_insert_with(|| {
            self.members.push(vec![own]);
            self.members.len() - 1
        })
    }

    /// How many classes these were, but for one.
    fn unite(&mut self, groups: &[i64]) -> usize {
        let mut joined = 0;
        for pair in groups.windows(2) {
            let (mut into, mut from) = (self.class(pair[0]), self.class(pair[1]));
            if into == from {
                continue;
            }
            if self.members[into].len() < self.members[from].len() {
                std::mem::swap(&mut into, &mut from);
            }
            let moved = std::mem::take(&mut self.members[from]);
            self.class.extend(moved.iter().map(|group| (*group, into)));
            self.members[into].extend(moved);
            joined += 1;
        }
        joined
    }

    /// Whether it was with others, and both have keys without each other.
    fn leave(&mut self, group: i64) -> bool {
        let (own, class) = (self.own(group), self.class(group));
        if self.members[class].len() == 1 {
            return false;
        }
        self.members[class].retain(|member| *member != own);
        let alone = self.members.len();
        self.class.insert(own, alone);
        self.members.push(vec![own]);
        self.has_key(class) && self.has_key(alone)
    }

    /// Whether any key leads to a class.
    fn has_key(&self, class: usize) -> bool {
        let is_in = |group: &i64| self.class.get(&self.own(*group)) == Some(&class);
        self.members[class].iter().any(|member| self.keyed.contains(member)) || self.keys.values().any(is_in)
    }

    /// Keys become a group of their own; how many, or none where that takes all keys of what they were in.
    fn part(&mut self, made: i64, keys: &[(Hash, i64)]) -> usize {
        let mut left = HashSet::new();
        for (hash, _) in keys {
            if let Some(at) = self.keys.get_mut(hash) {
                let was = std::mem::replace(at, made);
                left.insert(self.class(was));
            }
        }
        let is_kept = left.iter().all(|class| self.has_key(*class));
        if is_kept { keys.len() } else { 0 }
    }

    fn replay(&mut self, change: &Change) {
        let did = match &change.did {
            Did::United(groups) => self.unite(groups),
            Did::Released(groups) => groups.iter().filter(|group| self.leave(**group)).count(),
            Did::Parted { made, keys } => self.part(*made, keys),
        };
        self.did.insert(change.id, did);
    }
}

impl Changes {
    /// Where everything belongs without these changes.
    pub fn placed_without(&self, without: &[i64]) -> Placed {
        let mut placed = Placed::default();
        let stands = |change: &&Change| !change.undone && !without.contains(&change.id);
        for change in &self.all {
            if let Did::Parted { made, keys } = &change.did {
                for (hash, was) in keys.iter().filter(|(hash, _)| self.keys.contains_key(hash)) {
                    placed.keys.entry(*hash).or_insert(*was);
                }
                if let (false, Some((_, from))) = (stands(&change), keys.first()) {
                    placed.undone.insert(*made, *from);
                }
            }
        }
        for (group, found) in &self.groups {
            placed.class(*group);
            if found.keys > 0 {
                placed.keyed.insert(placed.own(*group));
            }
        }
        self.all.iter().filter(stands).for_each(|change| placed.replay(change));
        let keys = std::mem::take(&mut placed.keys);
        placed.keys = keys
            .into_iter()
            .map(|(hash, group)| (hash, placed.own(group)))
            .collect();
        placed
    }

    /// One of them was undone.
    pub fn undone(&mut self, change: i64) {
        if let Some(change) = self.all.iter_mut().find(|one| one.id == change) {
            change.undone = true;
        }
    }

    /// Whether every key has the same group in both.
    fn is_same(&self, one: &Placed, other: &Placed) -> bool {
        let of = |placed: &Placed, hash| placed.keys.get(hash).map(|group| placed.root(*group));
        self.keys.keys().all(|hash| of(one, hash) == of(other, hash))
            && self
                .groups
                .iter()
                .all(|(group, found)| found.keys == 0 || one.root(*group) == other.root(*group))
    }

    /// Whether groups can be taken out of the others: both keep keys, and no split made one that is undone.
    pub fn may_leave(&self, groups: &[i64]) -> bool {
        let mut placed = self.placed_without(&[]);
        let mut each = |group: &i64| placed.own(*group) == *group && placed.leave(*group);
        groups.iter().all(&mut each)
    }

    /// The change that has to be undone before this one; `None` when this one can be undone now.
    pub fn in_the_way(&self, change: i64) -> Option<i64> {
        let mut first = None;
        let mut of = change;
        // Each is later than the one before it, and the last of all can always be undone.
        while let Some(next) = self.next_in_the_way(of).filter(|next| *next > of) {
            (first, of) = (Some(next), next);
        }
        first
    }

    fn next_in_the_way(&self, of: i64) -> Option<i64> {
        let (with, without) = (self.placed_without(&[]), self.placed_without(&[of]));
        let later = || self.all.iter().rev().filter(|change| change.id > of && !change.undone);
        let has_less = |change: &&Change| change.by_hand && without.did.get(&change.id) < with.did.get(&change.id);
        if let Some(change) = later().rfind(has_less) {
            return Some(change.id);
        }
        let about_key = self.all.iter().any(|change| change.id == of && change.about_key);
        if about_key || !self.is_same(&with, &without) {
            return None;
        }
        let bars = |change: &&Change| {
            let both = self.placed_without(&[of, change.id]);
            !self.is_same(&self.placed_without(&[change.id]), &both)
        };
        let barring = later().take(MOST_TRIED).find(bars);
        barring.or_else(|| later().next()).map(|change| change.id)
    }
}
