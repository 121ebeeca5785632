//! What grouping an event costs: reading its key, deciding its group in memory, and storing what it brings that is new.
//!
//! What must stay true: each message is timed alone, from its text to all that is decided in memory, so that a p99 is one
//! message in a hundred; the clock's own time is printed and not taken off. Everything is done in several rounds that begin
//! from nothing and are the same, so that a message does the same work in each; its time is the median of its own times, and
//! p50 and p99 are those of the messages' times. What interrupts a round by chance, as other programs on the machine do, is
//! no message's own time then; what a message causes itself comes in every round and counts. This goes for every line alike,
//! and beside it stands the p99 of the single times as they were, interruptions and all.
//! Reading and deciding write nothing, and are what an event costs whose key, or whose wider template, is known; storing is
//! the rest, of those alone that bring a key or a group. The baselines see the same messages: SHA-256, which groups nothing,
//! and a plain tree of words by length and first words, as log parsers use it.

mod common;
#[path = "../tests/messages/mod.rs"]
mod messages;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use common::Extent;
use mainstay::events::group::{Engine, Subject, scan, workspace};
use mainstay::events::{ErrorType, Severity};
use messages::{HELD_OUT, Message, TUNED, programs, stream};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// Rounds; a message's time is the median of its times in them.
const ROUNDS: usize = 5;
/// Messages in a row whose mean is looked at too.
const IN_A_ROW: usize = 16;
/// Messages of a job; what its beginning costs, one or two microseconds, is in no figure.
const JOB: usize = 100;

fn subject(text: &str) -> Subject<'_> {
    Subject {
        kind: ErrorType::System,
        source: Some("bench"),
        message: text,
        thrown: None,
        causes: &[],
        fingerprint: &[],
        severity: Severity::Medium,
        timestamp_ms: 0,
        received_ms: 0,
    }
}

/// A tree by the number of words, then the first two words without digits, then the most similar template.
#[derive(Default)]
struct Tree(HashMap<(usize, String), Vec<Vec<String>>>);

impl Tree {
    fn add(&mut self, text: &str) -> usize {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let varies = |word: &str| word.bytes().any(|b| b.is_ascii_digit());
        let first = words
            .iter()
            .take(2)
            .map(|w| if varies(w) { "<*>" } else { w })
            .collect::<Vec<_>>()
            .join(" ");
        let leaf = self.0.entry((words.len(), first)).or_default();
        let same = |template: &[String]| template.iter().zip(&words).filter(|(a, b)| a.as_str() == **b).count();
        let best = (0..leaf.len()).max_by_key(|&i| same(&leaf[i]));
        if let Some(best) = best.filter(|&i| 2 * same(&leaf[i]) >= words.len()) {
            for (known, word) in leaf[best].iter_mut().zip(&words) {
                if known != word && known != "<*>" {
                    "<*>".clone_into(known);
                }
            }
            return best;
        }
        leaf.push(words.iter().map(|w| (*w).to_owned()).collect());
        leaf.len() - 1
    }
}

/// Nanoseconds of each message.
fn each<T>(messages: &[Message], mut one: impl FnMut(&str) -> T) -> Vec<f64> {
    let time = |message: &Message| {
        let begun = Instant::now();
        black_box(one(black_box(&message.text)));
        begun.elapsed().as_nanos() as f64
    };
    messages.iter().map(time).collect()
}

/// What messages cost in a round, in nanoseconds: without storing, and what storing cost where something new came.
struct Costs {
    memory: Vec<f64>,
    storing: Vec<f64>,
}

fn resolve(c: &Connection, engine: &mut Engine, messages: &[Message]) -> Costs {
    let mut costs = Costs {
        memory: Vec::with_capacity(messages.len()),
        storing: Vec::new(),
    };
    for (place, message) in messages.iter().enumerate() {
        if place % JOB == 0 {
            engine.begin(c).expect("begun");
        }
        let begun = Instant::now();
        let subject = subject(black_box(&message.text));
        let decision = engine.decide(c, &scan(subject), &subject).expect("decided");
        let decided = Instant::now();
        let is_new = !decision.is_known();
        black_box(engine.settle(c, decision, &subject).expect("settled"));
        let settled = decided.elapsed();
        costs.memory.push((decided - begun).as_nanos() as f64);
        if is_new {
            costs.storing.push(settled.as_nanos() as f64);
        }
    }
    costs
}

fn quantile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share) as usize]
}

/// Prints the p50 and p99 of the messages' times, the p99 of the mean of [`IN_A_ROW`] in a row, which is what a small batch
/// feels, and the p99 of all single times; p50 is given back.
fn print(what: &str, rounds: &[Vec<f64>], goal: &str) -> f64 {
    let count = rounds[0].len();
    assert!(
        count > 0 && rounds.iter().all(|round| round.len() == count),
        "the rounds are the same"
    );
    let own = |message: usize| {
        quantile(
            &mut rounds.iter().map(|round| round[message]).collect::<Vec<f64>>(),
            0.5,
        )
    };
    let mut own: Vec<f64> = (0..count).map(own).collect();
    let mean = |row: &[f64]| row.iter().sum::<f64>() / row.len() as f64;
    let row = quantile(&mut own.chunks(IN_A_ROW).map(mean).collect::<Vec<f64>>(), 0.99);
    let (p50, p99) = (quantile(&mut own, 0.5), quantile(&mut own, 0.99));
    let single = quantile(&mut rounds.concat(), 0.99);
    println!("{what:<44} {p50:>8.0} {p99:>8.0} {row:>8.0} {single:>8.0}   {goal}");
    p50
}

/// Both parts of the rounds.
fn print_parts(what: &str, rounds: Vec<Costs>, goal: &str) -> f64 {
    let (memory, storing): (Vec<_>, Vec<_>) = rounds.into_iter().map(|costs| (costs.memory, costs.storing)).unzip();
    let p50 = print(&format!("{what}, in memory"), &memory, goal);
    if !storing[0].is_empty() {
        let share = 100.0 * storing[0].len() as f64 / memory[0].len() as f64;
        print(
            &format!("  storing, of the {share:.1} % that bring something"),
            &storing,
            "",
        );
    }
    p50
}

/// What is resolved in a round, from nothing on.
struct Round {
    first: Costs,
    again: Costs,
    fresh: Costs,
    kinds: Costs,
}

impl Round {
    fn of(messages: &[Message], fresh: &[Message], kinds: &[Message]) -> Self {
        let c = workspace().expect("a database");
        let mut engine = Engine::default();
        c.execute_batch("BEGIN").expect("begun");
        Self {
            first: resolve(&c, &mut engine, messages),
            again: resolve(&c, &mut engine, messages),
            fresh: resolve(&c, &mut engine, fresh),
            kinds: resolve(&c, &mut engine, kinds),
        }
    }
}

fn rounds<T>(mut round: impl FnMut() -> T) -> Vec<T> {
    (0..ROUNDS).map(|_| round()).collect()
}

fn main() {
    let extent = Extent::from_arguments();
    let length = extent.pick(200_000, 8_000);
    let mut templates: Vec<_> = programs(TUNED)
        .into_iter()
        .flat_map(|(_, templates)| templates)
        .collect();
    templates.extend(programs(HELD_OUT).into_iter().flat_map(|(_, templates)| templates));
    let messages = &stream(&templates, length, 3);
    let fresh: &Vec<Message> = &(4..7).flat_map(|seed| stream(&templates, length, seed)).collect();
    let kind = |i| Message {
        text: format!("{} never seen", words(i)),
        template: i,
    };
    let kinds: Vec<Message> = (0..extent.pick(20_000, 800)).map(kind).collect();
    let bytes: usize = messages.iter().map(|m| m.text.len()).sum();
    println!(
        "{length} messages of {} templates, {} bytes each on average; a message's time is the median of {ROUNDS} rounds",
        templates.len(),
        bytes / length
    );
    let heads = ["p50", "p99", "16, p99", "single"]
        .map(|head| format!("{head:>8}"))
        .join(" ");
    println!("{:<44} {heads}   goal", "ns a message");
    print("the clock alone", &rounds(|| each(messages, str::len)), "");
    let sha = rounds(|| each(messages, |text| Sha256::digest(text)));
    let sha = print("SHA-256 of the message", &sha, "");
    let plain = rounds(|| {
        let mut tree = Tree::default();
        each(messages, |text| tree.add(text))
    });
    let plain = print("a plain tree of words", &plain, "");
    print(
        "reading alone",
        &rounds(|| each(fresh, |text| scan(subject(text)))),
        "≤ 1000, ≤ 3000",
    );
    let hit = print_rounds(rounds(|| Round::of(messages, fresh, &kinds)));
    let (sha_ratio, tree_ratio) = (hit / sha, hit / plain);
    assert!(sha_ratio.is_finite() && sha_ratio > 0.0 && tree_ratio.is_finite() && tree_ratio > 0.0);
    println!("known keys: {sha_ratio:.2} of SHA-256, {tree_ratio:.2} of the plain tree");
}

/// Prints what the rounds resolved; the p50 of known keys is given back.
fn print_rounds(rounds: Vec<Round>) -> f64 {
    let (mut first, mut again, mut fresh, mut kinds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        first.push(round.first);
        again.push(round.again);
        fresh.push(round.fresh);
        kinds.push(round.kinds);
    }
    print_parts("first time seen", first, "");
    let hit = print_parts("known keys", again, "≤ 1000, ≤ 3000");
    print_parts("new messages of known kinds", fresh, "≤ 3000 at p99");
    print_parts("messages of new kinds", kinds, "");
    hit
}

/// Letters for a number, so that each message is of a kind of its own.
fn words(mut number: usize) -> String {
    let mut out = String::from("error");
    for _ in 0..4 {
        out.push(' ');
        for _ in 0..4 {
            out.push(char::from(b'g' + (number % 20) as u8));
            number = number / 20 + 7 * number % 13;
        }
    }
    out
}
