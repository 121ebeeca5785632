//! What grouping an event costs: reading its key, deciding its group in memory, and storing what it brings that is new.
//!
//! What must stay true: each message is timed alone, so that a p99 is one message in a hundred; the clock's own time is
//! printed and not taken off. Reading and deciding write nothing, and are what an event costs whose key, or whose wider
//! template, is known; storing is the rest, of those alone that bring a key or a group. The baselines see the same messages:
//! SHA-256, which groups nothing, and a plain tree of words by length and first words, as log parsers use it.

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

/// Rounds of a figure, of which the median is printed.
const ROUNDS: usize = 3;
/// Messages whose mean is looked at too.
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

/// What messages cost, in nanoseconds: all of them without storing, and what those that brought something new cost in storing.
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

/// The medians over rounds of a message's p50 and p99, and of the p99 of the mean of [`IN_A_ROW`] messages in a row, which is
/// what a small batch feels; p50 is given back.
fn print(what: &str, rounds: &[Vec<f64>], goal: &str) -> f64 {
    let rows = |figures: &Vec<f64>| -> Vec<f64> {
        let mean = |row: &[f64]| row.iter().sum::<f64>() / row.len() as f64;
        figures.chunks(IN_A_ROW).map(mean).collect()
    };
    let median = |of: &dyn Fn(&Vec<f64>) -> f64| quantile(&mut rounds.iter().map(of).collect::<Vec<f64>>(), 0.5);
    let p50 = median(&|figures| quantile(&mut figures.clone(), 0.5));
    let p99 = median(&|figures| quantile(&mut figures.clone(), 0.99));
    let row = median(&|figures| quantile(&mut rows(figures), 0.99));
    println!("{what:<44} {p50:>8.0} {p99:>8.0} {row:>8.0}   {goal}");
    p50
}

/// Both parts of rounds.
fn print_parts(what: &str, rounds: Vec<Costs>, goal: &str) -> f64 {
    let messages: usize = rounds.iter().map(|costs| costs.memory.len()).sum();
    let new: usize = rounds.iter().map(|costs| costs.storing.len()).sum();
    let (memory, storing): (Vec<_>, Vec<_>) = rounds.into_iter().map(|costs| (costs.memory, costs.storing)).unzip();
    let p50 = print(&format!("{what}, in memory"), &memory, goal);
    if storing.iter().all(|round| !round.is_empty()) {
        let share = 100.0 * new as f64 / messages as f64;
        print(
            &format!("  storing, of the {share:.1} % that bring something"),
            &storing,
            "",
        );
    }
    p50
}

fn main() {
    let extent = Extent::from_arguments();
    let length = extent.pick(200_000, 8_000);
    let mut templates: Vec<_> = programs(TUNED)
        .into_iter()
        .flat_map(|(_, templates)| templates)
        .collect();
    templates.extend(programs(HELD_OUT).into_iter().flat_map(|(_, templates)| templates));
    let streams: Vec<Vec<Message>> = (3..3 + ROUNDS as u64 + 1)
        .map(|seed| stream(&templates, length, seed))
        .collect();
    let (messages, fresh) = (&streams[0], &streams[1..]);
    let bytes: usize = messages.iter().map(|m| m.text.len()).sum();
    println!(
        "{length} messages of {} templates, {} bytes each on average",
        templates.len(),
        bytes / length
    );
    println!(
        "{:<44} {:>8} {:>8} {:>8}   goal",
        "ns a message", "p50", "p99", "16, p99"
    );
    print("the clock alone", &[each(messages, str::len)], "");
    let sha = print(
        "SHA-256 of the message",
        &[each(messages, |text| Sha256::digest(text))],
        "",
    );
    let mut tree = Tree::default();
    let plain = print("a plain tree of words", &[each(messages, |text| tree.add(text))], "");
    let readings: Vec<_> = fresh.iter().map(|all| each(all, |text| scan(subject(text)))).collect();
    print("reading alone", &readings, "");

    let c = workspace().expect("a database");
    let mut engine = Engine::default();
    c.execute_batch("BEGIN").expect("begun");
    print_parts("first time seen", vec![resolve(&c, &mut engine, messages)], "");
    let again = (0..ROUNDS).map(|_| resolve(&c, &mut engine, messages)).collect();
    let hit = print_parts("known keys", again, "≤ 1000, ≤ 3000");
    let new = fresh.iter().map(|all| resolve(&c, &mut engine, all)).collect();
    print_parts("new messages of known kinds", new, "≤ 3000 at p99");
    let misses: Vec<Message> = (0..extent.pick(20_000, 800))
        .map(|i| Message {
            text: format!("{} never seen", words(i)),
            template: i,
        })
        .collect();
    print_parts("messages of new kinds", vec![resolve(&c, &mut engine, &misses)], "");
    let (sha_ratio, tree_ratio) = (hit / sha, hit / plain);
    assert!(sha_ratio.is_finite() && sha_ratio > 0.0 && tree_ratio.is_finite() && tree_ratio > 0.0);
    println!("known keys: {sha_ratio:.2} of SHA-256, {tree_ratio:.2} of the plain tree");
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
