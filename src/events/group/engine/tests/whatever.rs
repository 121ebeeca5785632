//! Whatever happens between two events, in whatever batches: the groups are those of a model that remembers nothing and is
//! never interrupted.

use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::{message, of, state};
use crate::events::group::{self, Choice, Engine, MOST_JOINED, Mode, Selection, merge, set_mode, split, undo};
use crate::events::remove::remove_groups;
use crate::events::schema;

/// What comes in, or is done by hand.
#[derive(Debug, Clone)]
enum Act {
    Event(String),
    Merge(i64, i64),
    SplitAlias(i64),
    /// Takes the group's newest key out.
    SplitKey(i64),
    Undo(i64),
    Mode(Mode),
    /// The group leaves with all that was learned of it.
    Remove(i64),
}

/// What happens around it, which must change nothing.
#[derive(Debug, Clone)]
enum Around {
    Nothing,
    NewJob,
    /// The process ended well and began again.
    Restart,
    /// The process was killed in the middle of a batch, which comes again.
    Killed,
    /// The batch was rolled back and is tried again by the same engine.
    Retried,
    /// A job of others was tried in the same transaction and rolled back alone.
    Stray(String),
    /// The same, by hand.
    StrayRemoval(i64),
    /// The whole transaction of others was rolled back.
    StrayJob(String),
    OtherEngine,
}

fn act() -> impl Strategy<Value = Act> {
    let id = 1..12_i64;
    prop_oneof![
        24 => message().prop_map(Act::Event),
        1 => (id.clone(), id.clone()).prop_map(|(one, other)| Act::Merge(one, other)),
        1 => id.clone().prop_map(Act::SplitAlias),
        1 => id.clone().prop_map(Act::SplitKey),
        1 => (1..6_i64).prop_map(Act::Undo),
        1 => prop::sample::select(vec![Mode::Learned, Mode::Exact, Mode::Fingerprint]).prop_map(Act::Mode),
        1 => id.prop_map(Act::Remove),
    ]
}

fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        6 => Just(Around::Nothing),
        3 => Just(Around::NewJob),
        1 => Just(Around::Restart),
        1 => Just(Around::Killed),
        1 => Just(Around::Retried),
        1 => message().prop_map(Around::Stray),
        1 => (1..12_i64).prop_map(Around::StrayRemoval),
        1 => message().prop_map(Around::StrayJob),
        1 => Just(Around::OtherEngine),
    ]
}

/// It was done, or refused, which is the same for both.
fn by_hand(done: group::Act) {
    assert!(done.is_ok(), "{done:?}");
}

/// Does it; the event's group, or 0.
fn perform(c: &Connection, engine: &mut Engine, act: &Act) -> i64 {
    let at = 2;
    match act {
        Act::Event(message) => return of(c, engine, message),
        Act::Merge(one, other) => by_hand(merge(c, &[*one, *other], Some("ann"), at)),
        Act::SplitAlias(alias) => by_hand(split(c, *alias, &Selection::Aliases(vec![*alias]), None, at)),
        Act::SplitKey(group) => {
            let key: Option<[u8; 16]> = c
                .query_row("SELECT max(hash) FROM group_keys WHERE group_id = ?1", [group], |row| {
                    row.get(0)
                })
                .unwrap();
            let keys = key.map(u128::from_be_bytes).into_iter().collect();
            by_hand(split(c, *group, &Selection::Keys(keys), None, at));
        }
        Act::Undo(change) => by_hand(undo(c, *change, None, at)),
        Act::Mode(mode) => {
            let choice = Choice {
                source: String::new(),
                mode: *mode,
                actor: None,
                at_ms: None,
            };
            set_mode(c, &choice).unwrap();
        }
        Act::Remove(group) => drop(remove_groups(c, &[*group], Duration::MAX).unwrap()),
    }
    // A hand's act is a job of its own.
    engine.begin(c).unwrap();
    0
}

/// A log whose engine is disturbed.
struct Disturbed {
    c: Connection,
    engine: Engine,
    other: Engine,
    /// What this transaction did, and how many answers were given before it.
    batch: Vec<Act>,
    before: usize,
    given: Vec<i64>,
}

impl Disturbed {
    fn new(engine: Engine) -> Self {
        let c = schema::connection();
        c.execute_batch("BEGIN").unwrap();
        let mut disturbed = Self {
            c,
            engine,
            other: Engine::remembering(9, 9, 2),
            batch: Vec::new(),
            before: 0,
            given: Vec::new(),
        };
        disturbed.begin();
        disturbed
    }

    fn begin(&mut self) {
        self.engine.begin(&self.c).unwrap();
        (self.batch, self.before) = (Vec::new(), self.given.len());
    }

    fn new_job(&mut self) {
        self.c.execute_batch("COMMIT; BEGIN").unwrap();
        self.begin();
    }

    fn act(&mut self, act: Act) {
        self.given.push(perform(&self.c, &mut self.engine, &act));
        self.batch.push(act);
    }

    /// The transaction was for nothing, and is done again.
    fn again(&mut self) {
        self.c.execute_batch("ROLLBACK; BEGIN").unwrap();
        self.given.truncate(self.before);
        let batch = std::mem::take(&mut self.batch);
        self.begin();
        batch.into_iter().for_each(|act| self.act(act));
    }

    fn stray(&mut self, act: &Act) {
        self.c.execute_batch("SAVEPOINT job").unwrap();
        self.engine.begin(&self.c).unwrap();
        perform(&self.c, &mut self.engine, act);
        self.c.execute_batch("ROLLBACK TO job; RELEASE job").unwrap();
        self.engine.begin(&self.c).unwrap();
    }

    fn disturb(&mut self, around: &Around) {
        match around {
            Around::Nothing => {}
            Around::NewJob => self.new_job(),
            Around::Restart => {
                self.engine = Engine::default();
                self.new_job();
            }
            Around::Killed => {
                self.engine = Engine::remembering(6, 6, 3);
                self.again();
            }
            Around::Retried => self.again(),
            Around::Stray(message) => self.stray(&Act::Event(message.clone())),
            Around::StrayRemoval(group) => self.stray(&Act::Remove(*group)),
            Around::StrayJob(message) => {
                self.new_job();
                of(&self.c, &mut self.engine, message);
                self.c.execute_batch("ROLLBACK; BEGIN").unwrap();
                self.begin();
            }
            Around::OtherEngine => {
                std::mem::swap(&mut self.engine, &mut self.other);
                self.engine.begin(&self.c).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_between_two_events_changes_nothing(
        stream in prop::collection::vec((around(), act()), 1..70),
        small in any::<bool>(),
    ) {
        // It asks the tables for everything.
        let model = schema::connection();
        let mut forgetful = Engine::remembering(0, 0, 0);
        forgetful.begin(&model).unwrap();
        // So small a memory forgets all the time.
        let mut disturbed = Disturbed::new(if small { Engine::remembering(6, 6, 3) } else { Engine::default() });
        let mut expected = Vec::new();
        for (around, act) in stream {
            disturbed.disturb(&around);
            expected.push(perform(&model, &mut forgetful, &act));
            disturbed.act(act);
        }
        disturbed.c.execute_batch("COMMIT").unwrap();
        prop_assert_eq!(&disturbed.given, &expected);
        prop_assert_eq!(state(&disturbed.c), state(&model));
    }
}

#[test]
fn keys_that_came_back_with_a_rollback_are_known() {
    let mut log = Disturbed::new(Engine::remembering(6, 6, 3));
    let messages: Vec<String> = ('a'..='z')
        .map(|letter| format!("{letter}{letter} went {letter}"))
        .collect();
    for message in &messages {
        log.act(Act::Event(message.clone()));
    }
    let first = log.given.clone();
    log.c.execute_batch("COMMIT; BEGIN").unwrap();
    // Everything leaves, a new engine takes in what is left, until nothing is; then all of it is back.
    (1..=30).for_each(|group| drop(remove_groups(&log.c, &[group], Duration::MAX).unwrap()));
    log.engine = Engine::remembering(6, 6, 3);
    (0..60).for_each(|_| log.engine.begin(&log.c).unwrap());
    log.c.execute_batch("ROLLBACK; BEGIN").unwrap();
    log.begin();
    let again: Vec<i64> = messages
        .iter()
        .map(|message| of(&log.c, &mut log.engine, message))
        .collect();
    let roots: Vec<i64> = first
        .iter()
        .map(|id| super::root(&log.c, *id).unwrap().unwrap())
        .collect();
    assert_eq!(again, roots);
}

#[test]
fn a_new_key_asks_nothing_once_all_keys_are_known() {
    let c = schema::connection();
    let mut engine = Engine::remembering(6, 6, 3);
    for number in 0..200 {
        engine.begin(&c).unwrap();
        of(&c, &mut engine, &format!("thing{} broke", "x".repeat(number)));
        let (keys, holes) = engine.memory.lengths();
        assert!(keys <= 6 && holes <= 6, "memory is bounded: {keys}, {holes}");
    }
    (0..400).for_each(|_| engine.begin(&c).unwrap());
    c.execute_batch("ALTER TABLE group_keys RENAME TO gone").unwrap();
    let new = super::subject("nothing of the kind was ever here");
    let decision = engine.decide(&c, &crate::events::group::scan(new), &new).unwrap();
    assert!(!decision.is_known());
    let known = super::subject("thing broke");
    assert!(
        engine.decide(&c, &crate::events::group::scan(known), &known).is_err(),
        "it was let go and is asked for"
    );
}

#[test]
fn words_without_end_at_a_place_dont_fill_the_disk() {
    let c = schema::connection();
    let mut engine = Engine::default();
    engine.begin(&c).unwrap();
    let name = |number: usize| {
        number
            .to_string()
            .bytes()
            .map(|digit| char::from(digit + b'k' - b'0'))
            .collect::<String>()
    };
    let mut last = 0;
    for number in 0..MOST_JOINED + 50 {
        last = of(&c, &mut engine, &format!("user {} left us", name(number)));
    }
    let keys = |c: &Connection| -> i64 {
        c.query_row("SELECT count(*) FROM group_keys", [], |row| row.get(0))
            .unwrap()
    };
    // Three made the template, which is a key as well.
    assert_eq!((last, keys(&c)), (1, MOST_JOINED as i64 + 4));
    let mut again = Engine::default();
    again.begin(&c).unwrap();
    for number in [0, 5, MOST_JOINED, MOST_JOINED + 49] {
        assert_eq!(of(&c, &mut again, &format!("user {} left us", name(number))), 1);
    }
    assert_eq!(keys(&c), MOST_JOINED as i64 + 4);
}
