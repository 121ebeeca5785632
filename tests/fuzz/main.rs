//! A bounded run of the fuzz targets on stable Rust: seeds of fuzz/corpus, changed at random with a fixed seed. No panic,
//! and no more memory than a limit that is far below what an attacker would want.
//!
//! `MAINSTAY_TEST_FUZZ=100000 cargo test --test fuzz` runs that many rounds a target; for a real search with coverage
//! `cargo +nightly fuzz run envelope`.

mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrand::Rng;

/// Counts what is held, and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Largest input that is made.
const MOST_BYTES: usize = 64 << 10;
const ROUNDS: usize = 3_000;
/// What the parsers find special.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\n",
    b"\r\n",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"\\ud800",
    b"\xff",
    b"{\"type\":\"event\"}\n",
    b"\"length\":",
    b"18446744073709551616",
    b"\"message\":\"m\"",
    b"\"values\":",
    b"\"exception\":",
    b"{{auto}}",
    b"%s",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("seeds")
        .map(|file| file.expect("read").path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// One change: a bit, a word, a cut, a piece doubled, a piece of another seed.
fn change(random: &mut Rng, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.usize(..=data.len());
    let most = if random.u8(..8) == 0 { 4096 } else { 64 };
    let end = (at + random.usize(..most)).min(data.len());
    match random.u8(..7) {
        0 if at < data.len() => data[at] ^= 1 << random.u8(..8),
        1 if at < data.len() => data[at] = random.u8(..),
        2 => {
            let word = WORDS[random.usize(..WORDS.len())];
            data.splice(at..at, word.iter().copied());
        }
        3 => drop(data.drain(at..end)),
        4 => {
            let piece = data[at..end].repeat(random.usize(1..64));
            data.splice(at..at, piece);
        }
        5 => {
            let other = &seeds[random.usize(..seeds.len())];
            let from = random.usize(..=other.len());
            data.splice(at..end, other[from..].iter().copied());
        }
        _ => data.truncate(at),
    }
    data.truncate(MOST_BYTES);
}

/// The most bytes that the target held at a time.
fn run(name: &str, target: fn(&[u8]), rounds: usize) -> usize {
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| target(seed));
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    for round in 0..rounds {
        // Each round is its own, so that a failure is found again by its number.
        let mut random = Rng::with_seed(round as u64);
        let mut data = seeds[random.usize(..seeds.len())].clone();
        (0..random.usize(1..12)).for_each(|_| change(&mut random, &mut data, &seeds));
        let ended = std::panic::catch_unwind(|| target(&data));
        assert!(
            ended.is_ok(),
            "{name}, round {round}: {}",
            String::from_utf8_lossy(&data)
        );
    }
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn no_input_panics_or_takes_much_memory() {
    let rounds = std::env::var("MAINSTAY_TEST_FUZZ").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    // Each against the largest input that is made, so that what grows faster than its input is found.
    for (name, target, most) in [
        ("envelope", targets::envelope as fn(&[u8]), 64 * MOST_BYTES),
        ("ndjson", targets::ndjson, 64 * MOST_BYTES),
        ("search", targets::search, 64 * MOST_BYTES),
        // What comes out, growing; and the largest window that a decoder may ask for.
        (
            "decompression",
            targets::decompression,
            4 * targets::UNPACKED_BYTES + (40 << 20),
        ),
    ] {
        let peak = run(name, target, rounds);
        println!("{name}: {rounds} rounds, at most {} KiB held", peak >> 10);
        assert!(peak <= most, "{name} held {peak} bytes");
    }
}
