//! Each question to a log of few events and to one of many.
//!
//! What must stay true: both are asked the same in turns, one after the other, and were asked as often before the clock
//! counted: so neither has the warmer cache, and what the machine does besides falls on both alike.

use std::time::Instant;

use mainstay::db::Operation;
use mainstay::events::query::{self, Filter, List, Position, search};
use mainstay::events::{life, summary};

use super::common::{Table, quantile, ratio};
use super::log::Log;
use super::made::SPAN_MS;
use super::ms;

/// Goals: of each question's p99 in milliseconds, and of the ratio of the medians and of the p99s.
const GOAL: (f64, f64) = (10.0, 1.5);
/// Asked so often before the clock counts.
const WARM: u32 = 100;

/// What is asked, made anew for each repetition.
enum Ask {
    Events(fn(&mut fastrand::Rng, i64) -> List),
    Groups(fn(i64) -> life::List),
    Group,
    Summary,
}

fn events(q: &str) -> List {
    let mut filter = Filter::default();
    if !q.is_empty() {
        search::compile(q, &mut filter).expect("sound");
    }
    List {
        filter,
        after: None,
        limit: 50,
        count: false,
        histogram: false,
        // Nothing is muted there; the histogram alone wants an end.
        now_ms: 0,
    }
}

fn deep(random: &mut fastrand::Rng, now_ms: i64, q: &str) -> List {
    let ms = now_ms - random.i64(0..SPAN_MS);
    List {
        after: Some(Position::at_ms(ms)),
        ..events(q)
    }
}

fn groups(q: &str, sort: &str, now_ms: i64) -> life::List {
    life::List {
        filter: events(q).filter,
        sort: life::Sort::from_name(sort).expect("an order"),
        after: None,
        limit: 50,
        count: true,
        now_ms,
    }
}

const ASKED: [(&str, Ask); 19] = [
    ("list, first page", Ask::Events(|_, _| events(""))),
    ("list, deep cursor", Ask::Events(|random, now| deep(random, now, ""))),
    (
        "type and severity, deep cursor",
        Ask::Events(|random, now| deep(random, now, "type:database,api severity:critical")),
    ),
    (
        "one group",
        Ask::Events(|random, _| events(&format!("group:E-{}", random.u32(1..400)))),
    ),
    (
        "status, deep cursor",
        Ask::Events(|random, now| deep(random, now, "is:unresolved")),
    ),
    ("common word", Ask::Events(|_, _| events("upstream"))),
    (
        "common word, deep cursor",
        Ask::Events(|random, now| deep(random, now, "upstream")),
    ),
    ("rare word", Ask::Events(|_, _| events("needle"))),
    ("phrase", Ask::Events(|_, _| events("\"connection refused\""))),
    (
        "user",
        Ask::Events(|random, _| events(&format!("userId:{}", random.u32(..1000)))),
    ),
    (
        "word and path and type",
        Ask::Events(|_, _| events("refused path:/api/checkout/0 type:database")),
    ),
    (
        "word, not another, tag",
        Ask::Events(|random, _| events(&format!("upstream -answered tag.host:web-{}", random.u8(..20)))),
    ),
    ("beginning of a word", Ask::Events(|_, _| events("certif*"))),
    (
        "histogram of 30 days",
        Ask::Events(|_, now| List {
            histogram: true,
            now_ms: now,
            ..events("")
        }),
    ),
    ("groups, seen last", Ask::Groups(|now| groups("", "-lastSeen", now))),
    (
        "groups, unresolved, by count",
        Ask::Groups(|now| groups("is:unresolved", "-count", now)),
    ),
    (
        "groups, a word of the title",
        Ask::Groups(|now| groups("refused", "-lastSeen", now)),
    ),
    ("a group's page", Ask::Group),
    ("statistics, top groups", Ask::Summary),
];

/// Asks once; how long it took in microseconds.
async fn ask(log: &Log, asked: &Ask, random: &mut fastrand::Rng, now_ms: i64) -> u32 {
    let began;
    match asked {
        Ask::Events(list) => {
            let list = list(random, now_ms);
            began = Instant::now();
            std::hint::black_box(query::list(&log.database, list).await.expect("read"));
        }
        Ask::Groups(list) => {
            let list = list(now_ms);
            began = Instant::now();
            std::hint::black_box(life::list(&log.database, list).await.expect("read"));
        }
        Ask::Group => {
            let id = i64::from(random.u32(1..400));
            began = Instant::now();
            std::hint::black_box(life::details(&log.database, id, now_ms).await.expect("read"));
        }
        Ask::Summary => {
            began = Instant::now();
            let read = move |c: &mainstay::db::rusqlite::Connection| summary(c, now_ms);
            std::hint::black_box(log.database.read(Operation::scan("summary"), read).await.expect("read"));
        }
    }
    began.elapsed().as_micros() as u32
}

/// Asks both logs, each with its own present, and prints what they took.
pub async fn print(few: (&Log, i64), many: (&Log, i64), repeats: u32) {
    let mut table = Table::new(&[
        "reading, ms",
        "p50 few",
        "p99 few",
        "p50 many",
        "p99 many",
        "p50 ratio",
        "p99 ratio",
        "goals",
    ]);
    for (name, asked) in &ASKED {
        let mut micros = [Vec::new(), Vec::new()];
        let mut random = [fastrand::Rng::with_seed(1), fastrand::Rng::with_seed(1)];
        for round in 0..WARM.min(repeats) + repeats {
            for (which, (log, now_ms)) in [few, many].into_iter().enumerate() {
                let took = ask(log, asked, &mut random[which], now_ms).await;
                if round >= WARM.min(repeats) {
                    micros[which].push(took);
                }
            }
        }
        let [few, many] = micros.map(|mut all| (quantile(&mut all, 0.5), quantile(&mut all, 0.99)));
        let worse = |few: u32, many: u32| ratio(f64::from(many.max(1)), f64::from(few.max(1)));
        let (half, most) = (worse(few.0, many.0), worse(few.1, many.1));
        let is_met = f64::from(few.1.max(many.1)) / 1000.0 <= GOAL.0 && half.max(most) <= GOAL.1;
        table.row(vec![
            (*name).to_owned(),
            ms(few.0),
            ms(few.1),
            ms(many.0),
            ms(many.1),
            format!("{half:.2}"),
            format!("{most:.2}"),
            if is_met { "met" } else { "not met" }.to_owned(),
        ]);
    }
    table.print();
}
