//! Messages whose true templates are known: made from the lines of `tests/data/messages`, the same ones each time.
//!
//! What must stay true: what a `{kind}` may become covers what real programs write there; a seed decides everything.
#![allow(dead_code, reason = "the tests and the benchmark each use their own part")]

use fastrand::Rng;

pub const TUNED: &str = include_str!("../data/messages/tuned.txt");
pub const HELD_OUT: &str = include_str!("../data/messages/held_out.txt");
pub const NAMES: &str = include_str!("../data/messages/names.txt");
pub const BLIND: &str = include_str!("../data/messages/blind.txt");
pub const UNSEEN: &str = include_str!("../data/messages/unseen.txt");

/// A message and the number of its template.
#[derive(Debug, Clone)]
pub struct Message {
    pub text: String,
    pub template: usize,
}

/// The programs of a set: their names, and their templates with a number each.
pub fn programs(set: &'static str) -> Vec<(&'static str, Vec<(usize, &'static str)>)> {
    let mut programs: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
    for (number, line) in set.lines().enumerate() {
        if let Some(name) = line.strip_prefix("## ") {
            programs.push((name, Vec::new()));
        } else if !line.starts_with('#') && !line.is_empty() {
            programs
                .last_mut()
                .expect("a program comes first")
                .1
                .push((number, line));
        }
    }
    programs
}

/// So many messages of these templates: a few templates are frequent, most are rare, each comes at least twice.
pub fn stream(templates: &[(usize, &'static str)], length: usize, seed: u64) -> Vec<Message> {
    let mut rng = Rng::with_seed(seed);
    let mut order: Vec<usize> = (0..templates.len()).collect();
    rng.shuffle(&mut order);
    let mut messages = Vec::with_capacity(length);
    for place in 0..length {
        // The k-th template has a share that falls with k.
        let rank = if place < 2 * order.len() {
            place / 2
        } else {
            ((order.len() as f64).powf(rng.f64()) as usize).min(order.len()) - 1
        };
        let (template, text) = templates[order[rank]];
        messages.push(Message {
            text: filled(text, &mut rng),
            template,
        });
    }
    rng.shuffle(&mut messages);
    messages
}

/// The template with a value for each `{kind}`.
pub fn filled(template: &str, rng: &mut Rng) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (kind, after) = after.split_once('}').expect("closed");
        out.push_str(before);
        out.push_str(&value(kind, rng));
        rest = after;
    }
    out + rest
}

const USERS: &[&str] = &[
    "anna",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "guest",
    "root",
    "oracle",
    "nagios",
    "mysql",
    "test",
    "jenkins",
    "deploy",
    "ubuntu",
    "svc_backup",
    "j.doe",
    "maria",
    "pi",
    "ftpuser",
    "operator",
    "www-data",
];
const FIRST_NAMES: &[&str] = &[
    "Anna", "Bo", "Zoë", "Alfred", "Ingrid", "Jean-Luc", "Mary Ann", "Óscar", "Fatima", "Wei",
];
const LAST_NAMES: &[&str] = &[
    "Berg",
    "Lund",
    "Müller",
    "Smith-Jones",
    "O'Neill",
    "Okafor",
    "Tanaka",
    "Reading",
    "March",
    "Weiß",
];
const FIRMS: &[&str] = &[
    "Acme",
    "Acme North",
    "Red Pine Lodge",
    "Globex",
    "Blue River Foods",
    "Initech South",
    "Umbra",
    "Hill Street Garage",
    "Old Mill",
    "Kaufhaus Nord",
    "Vega Software",
    "Nordlicht",
    "Granite Bay Bank",
    "Silver Oak",
    "Teal",
];
const NOUNS: &[&str] = &[
    "orders", "invoices", "users", "payments", "sessions", "carts", "items", "events", "audit", "stock", "prices",
    "labels", "tokens", "reports", "tags", "queue", "batch", "notes", "metrics", "alerts",
];
const ADJECTIVES: &[&str] = &[
    "old", "new", "open", "closed", "daily", "weekly", "active", "pending", "failed", "shared", "public", "private",
    "main", "spare", "fast", "slow",
];

fn pick<'a>(from: &[&'a str], rng: &mut Rng) -> &'a str {
    from[rng.usize(..from.len())]
}

fn joined(most: usize, rng: &mut Rng, separator: &str, one: impl Fn(&mut Rng) -> String) -> String {
    let count = rng.usize(1..=most);
    joined_exactly(count, rng, separator, one)
}

fn joined_exactly(count: usize, rng: &mut Rng, separator: &str, one: impl Fn(&mut Rng) -> String) -> String {
    (0..count).map(|_| one(rng)).collect::<Vec<_>>().join(separator)
}

fn hex(digits: usize, rng: &mut Rng) -> String {
    (0..digits)
        .map(|_| char::from_digit(rng.u32(..16), 16).expect("a digit"))
        .collect()
}

fn host(rng: &mut Rng) -> String {
    match rng.u8(..4) {
        0 => format!("{}.{}.example.com", pick(ADJECTIVES, rng), pick(NOUNS, rng)),
        1 => format!("node-{}", rng.u16(1..400)),
        2 => format!("{}-{:02}.lan", pick(NOUNS, rng), rng.u8(1..30)),
        _ => format!("{}.example.org", pick(NOUNS, rng)),
    }
}

fn path(rng: &mut Rng) -> String {
    let folders = joined(3, rng, "/", |rng| pick(NOUNS, rng).to_owned());
    match rng.u8(..5) {
        0 => format!("/var/lib/{folders}"),
        1 => format!("/srv/{folders}/{}.json", pick(NOUNS, rng)),
        2 => format!(
            "/api/v{}/{folders}?page={}&sort=-{}",
            rng.u8(1..4),
            rng.u8(..),
            pick(NOUNS, rng)
        ),
        3 => format!("/home/{}/{folders}/{}.py", pick(USERS, rng), pick(ADJECTIVES, rng)),
        _ => format!("/etc/{folders}.conf"),
    }
}

fn value(kind: &str, rng: &mut Rng) -> String {
    match kind {
        "num" => match rng.u8(..3) {
            0 => rng.u32(..10).to_string(),
            1 => rng.u32(..1000).to_string(),
            _ => rng.u32(..).to_string(),
        },
        "float" => format!("{}.{}", rng.u16(..500), rng.u16(..100)),
        "ip" => format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..)),
        "addr" => format!("{}:{}", value("ip", rng), rng.u16(1024..)),
        "mac" => joined_exactly(6, rng, ":", |rng| hex(2, rng)),
        "addrs" => joined(4, rng, " ", |rng| value("addr", rng)),
        "host" => host(rng),
        "hostlist" => format!("[{}]", joined(4, rng, ", ", host)),
        "port" => rng.u16(1024..).to_string(),
        "hex" => format!("0x{}", hex(rng.usize(4..=16), rng)),
        "hex8" => hex(8, rng).to_uppercase(),
        "uuid" => uuid(rng),
        "chunk" => format!("chk_{}{}", if rng.bool() { "-" } else { "" }, rng.u64(..)),
        "rdd" => format!("rdd_{}_{}", rng.u8(..), rng.u8(..)),
        "task" => format!(
            "attempt_{}_{:04}_m_{:06}_{}",
            rng.u64(..),
            rng.u16(..999),
            rng.u16(..),
            rng.u8(..4)
        ),
        "user" => pick(USERS, rng).to_owned(),
        "email" => format!("{}@{}.example.com", pick(USERS, rng), pick(NOUNS, rng)),
        "path" => path(rng),
        "src" => format!("src/{}/{}.rs", pick(NOUNS, rng), pick(ADJECTIVES, rng)),
        "file" => format!("{}_{}.csv", pick(NOUNS, rng), rng.u16(..)),
        "lib" => format!("lib{}.so.{}", pick(NOUNS, rng), rng.u8(..9)),
        "hdfs" => format!("hdfs://{}:9000/{}/part-{:05}", host(rng), pick(NOUNS, rng), rng.u16(..)),
        "url" => format!("https://{}{}", host(rng), path(rng)),
        "winpath" => format!("C:\\Windows\\{}\\{}.dll", pick(NOUNS, rng), pick(ADJECTIVES, rng)),
        "winspaced" => format!(
            "C:\\Program Files\\{} {}\\{}.log",
            pick(ADJECTIVES, rng),
            pick(NOUNS, rng),
            pick(NOUNS, rng)
        ),
        "winclient" => pick(&["UpdateAgent", "WindowsUpdateAgent", "SPP", "CbsTask"], rng).to_owned(),
        "winpkg" => format!(
            "Package_for_KB{}~31bf3856ad364e35~amd64~~6.1.{}.{}",
            rng.u32(1_000_000..),
            rng.u8(..9),
            rng.u8(..9)
        ),
        "ver" => format!("{}.{}.{}", rng.u8(..10), rng.u8(..20), rng.u16(..)),
        "image" => format!(
            "registry.example.com/{}/{}:{}",
            pick(NOUNS, rng),
            pick(ADJECTIVES, rng),
            value("ver", rng)
        ),
        "size" => size(rng),
        "dur" => match rng.u8(..4) {
            0 => format!("{}ms", rng.u16(..)),
            1 => format!("{}.{} s", rng.u8(..), rng.u8(..10)),
            2 => format!("{} seconds", rng.u8(2..)),
            _ => "<1 sec".to_owned(),
        },
        "clock" => format!("{:02}:{:02}", rng.u8(..60), rng.u8(..60)),
        "date" => date(rng),
        "bool" => if rng.bool() { "true" } else { "false" }.to_owned(),
        "null" => "null".to_owned(),
        _ => name(kind, rng),
    }
}

fn uuid(rng: &mut Rng) -> String {
    format!(
        "{}-{}-4{}-a{}-{}",
        hex(8, rng),
        hex(4, rng),
        hex(3, rng),
        hex(3, rng),
        hex(12, rng)
    )
}

fn size(rng: &mut Rng) -> String {
    match rng.u8(..3) {
        0 => format!("{}.{} KB", rng.u16(..1000), rng.u8(..10)),
        1 => format!("{} B", rng.u16(..1000)),
        _ => format!("{}.{} MB", rng.u16(..1000), rng.u8(..10)),
    }
}

fn date(rng: &mut Rng) -> String {
    let (day, hour, minute) = (rng.u8(1..29), rng.u8(..24), rng.u8(..60));
    let month = pick(
        &[
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ],
        rng,
    );
    match rng.u8(..3) {
        0 => format!("2025-0{}-{day:02}T{hour:02}:{minute:02}:00Z", rng.u8(1..10)),
        1 => format!(
            "{} {month} {day:2} {hour:02}:{minute:02}:17 UTC 2025",
            pick(&["Mon", "Tue", "Wed", "Sat"], rng)
        ),
        _ => format!("{day} {month} 2025"),
    }
}

fn name(kind: &str, rng: &mut Rng) -> String {
    let (adjective, noun) = (pick(ADJECTIVES, rng), pick(NOUNS, rng));
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    match kind {
        "word" => pick(NOUNS, rng).to_owned(),
        "ident" => match rng.u8(..3) {
            0 => noun.to_owned(),
            _ => format!("{adjective}_{noun}"),
        },
        "kebab" => format!(
            "{adjective}-{noun}{}",
            if rng.bool() {
                format!("-{}", rng.u8(..))
            } else {
                String::new()
            }
        ),
        "camel" => adjective.to_owned() + &capital(noun),
        "class" => format!("com.example.{noun}.{}", capital(adjective) + &capital(noun)),
        "dotted" => format!("{adjective}.{noun}"),
        "pkg" => format!("{adjective}.{noun}.{}", pick(NOUNS, rng)),
        "person" => format!("{} {}", pick(FIRST_NAMES, rng), pick(LAST_NAMES, rng)),
        "firm" => pick(FIRMS, rng).to_owned(),
        "label" => format!("{} {}", capital(adjective), capital(noun)),
        "cmd" => pick(
            &["java", "python", "nginx", "postgres", "node", "chrome", "kworker"],
            rng,
        )
        .to_owned(),
        "dev" => format!("sd{}", rng.char('a'..='h')),
        "eth" => format!("eth{}", rng.u8(..8)),
        "usb" => format!("{}-{}.{}", rng.u8(1..4), rng.u8(1..8), rng.u8(1..8)),
        "nums" => format!("[{}]", joined(6, rng, ", ", |rng| rng.u16(..).to_string())),
        "qlist" => format!("[{}]", joined(4, rng, ", ", |rng| format!("'{}'", pick(NOUNS, rng)))),
        "wordlist" => format!(
            "[{}]",
            ["old", noun].join(", ") + if rng.bool() { ", more" } else { "" }
        ),
        "json" => format!(
            "{{\"code\": {}, \"{noun}\": [\"{adjective}\", {}]}}",
            rng.u16(..),
            rng.bool()
        ),
        other => panic!("{{{other}}} is no kind of value"),
    }
}

/// How well groups match the true templates.
#[derive(Debug, Clone, Copy)]
pub struct Score {
    /// The share of messages whose group holds exactly the messages of their template.
    pub accuracy: f64,
    /// The harmonic mean of the shares of groups and of templates that are exactly matched.
    pub f1: f64,
}

/// Compares groups, one for each message, with the templates; the templates that were missed are given too.
pub fn score(messages: &[Message], groups: &[String]) -> (Score, Vec<usize>) {
    use std::collections::{HashMap, HashSet};
    let mut groups_of: HashMap<usize, HashSet<&str>> = HashMap::new();
    let mut templates_of: HashMap<&str, HashSet<usize>> = HashMap::new();
    for (message, group) in messages.iter().zip(groups) {
        groups_of.entry(message.template).or_default().insert(group);
        templates_of.entry(group).or_default().insert(message.template);
    }
    let exact = |template: &usize| {
        let groups = &groups_of[template];
        groups.len() == 1 && groups.iter().all(|group| templates_of[group].len() == 1)
    };
    let right = messages.iter().filter(|m| exact(&m.template)).count() as f64;
    let hits = groups_of.keys().filter(|t| exact(t)).count() as f64;
    let score = Score {
        accuracy: right / messages.len() as f64,
        f1: 2.0 * hits / (groups_of.len() + templates_of.len()) as f64,
    };
    let mut missed: Vec<usize> = groups_of.keys().copied().filter(|t| !exact(t)).collect();
    missed.sort_unstable();
    (score, missed)
}
