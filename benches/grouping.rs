//! What grouping an event costs: the reading of its key with the lookup of a known one, and the whole of a stream.
//!
//! What must stay true: the baselines run in the same rounds on the same messages: SHA-256 of the message, which groups
//! nothing, and a plain tree of words by length and first words, as log parsers use it. One round measures a block of
//! messages; a figure is the time of a block by the number of its messages, so that the clock's own cost is small.

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

/// Messages between two looks at the clock.
const BLOCK: usize = 16;

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

fn resolve(c: &Connection, engine: &mut Engine, text: &str) -> i64 {
    let subject = subject(text);
    engine.resolve(c, &scan(subject), &subject).expect("resolved")
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

/// Nanoseconds a message, block by block.
fn blocks<T>(messages: &[Message], mut one: impl FnMut(&str) -> T) -> Vec<f64> {
    let time = |block: &[Message]| {
        let begun = Instant::now();
        for message in block {
            black_box(one(&message.text));
        }
        begun.elapsed().as_nanos() as f64 / block.len() as f64
    };
    messages.chunks_exact(BLOCK).map(time).collect()
}

fn quantile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share) as usize]
}

fn print(what: &str, mut figures: Vec<f64>, goal: &str) -> f64 {
    let (p50, p99) = (quantile(&mut figures, 0.5), quantile(&mut figures, 0.99));
    println!("{what:<34} {p50:>8.0} {p99:>8.0}   {goal}");
    p50
}

fn main() {
    let extent = Extent::from_arguments();
    let length = extent.pick(400_000, 8_000);
    let all = |set| {
        programs(set)
            .into_iter()
            .flat_map(|(_, templates)| templates)
            .collect::<Vec<_>>()
    };
    let mut templates = all(TUNED);
    templates.extend(all(HELD_OUT));
    let messages = stream(&templates, length, 3);
    let bytes: usize = messages.iter().map(|m| m.text.len()).sum();
    println!(
        "{length} messages of {} templates, {} bytes each on average",
        templates.len(),
        bytes / length
    );

    let c = workspace().expect("a database");
    let mut engine = Engine::default();
    c.execute_batch("BEGIN").expect("begun");
    engine.begin(&c).expect("begun");
    println!("{:<34} {:>8} {:>8}   goal", "ns a message", "p50", "p99");
    let sha = print(
        "SHA-256 of the message",
        blocks(&messages, |text| Sha256::digest(text)),
        "",
    );
    let mut tree = Tree::default();
    let plain = print("a plain tree of words", blocks(&messages, |text| tree.add(text)), "");
    print(
        "whole, first time seen",
        blocks(&messages, |text| resolve(&c, &mut engine, text)),
        "",
    );
    let whole = |engine: &mut Engine, seed| {
        let fresh = stream(&templates, length, seed);
        blocks(&fresh, |text| resolve(&c, engine, text))
    };
    print(
        "whole, new messages of known kinds",
        whole(&mut engine, 4),
        "≤ 3000 at p99",
    );
    print("reading alone", blocks(&messages, |text| scan(subject(text))), "");
    let hit = print(
        "reading and exact hit",
        blocks(&messages, |text| resolve(&c, &mut engine, text)),
        "≤ 1000",
    );
    let misses: Vec<Message> = (0..extent.pick(20_000, 800))
        .map(|i| Message {
            text: format!("{} never seen", words(i)),
            template: i,
        })
        .collect();
    print(
        "miss that makes a group",
        blocks(&misses, |text| resolve(&c, &mut engine, text)),
        "",
    );
    let (sha_ratio, tree_ratio) = (hit / sha, hit / plain);
    assert!(sha_ratio.is_finite() && sha_ratio > 0.0 && tree_ratio.is_finite() && tree_ratio > 0.0);
    println!("exact hit: {sha_ratio:.2} of SHA-256, {tree_ratio:.2} of the plain tree");
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
