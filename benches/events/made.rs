//! Events as a shop might report them: 500 groups of which few are frequent (Zipf), users, paths, releases, and thirty
//! days up to now in the order in which they happened. The same number of events is the same events.

use std::fmt::Write;

const SUBJECTS: [&str; 25] = [
    "checkout",
    "payment",
    "cart",
    "search",
    "login",
    "invoice",
    "mailer",
    "catalog",
    "shipping",
    "refund",
    "profile",
    "review",
    "coupon",
    "stock",
    "export",
    "import",
    "report",
    "session",
    "webhook",
    "avatar",
    "newsletter",
    "pricing",
    "tax",
    "audit",
    "billing",
];
const FAULTS: [&str; 20] = [
    "connection refused by upstream",
    "database is locked",
    "timed out waiting for a reply",
    "unexpected end of input",
    "permission denied",
    "no space left on device",
    "invalid token in header",
    "upstream answered with an error",
    "could not parse amount",
    "duplicate key",
    "missing member currency",
    "certificate has expired",
    "queue is full",
    "deadlock detected",
    "null reference in handler",
    "connection reset by peer",
    "rate limit exceeded",
    "unknown country code",
    "checksum mismatch",
    "worker panicked",
];
const KINDS: [&str; 4] = ["database", "socket", "api", "system"];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const SOURCES: [&str; 5] = ["shop", "worker", "gateway", "admin", "mobile"];

/// Thirty days.
pub const SPAN_MS: i64 = 30 * 86_400_000;
/// So many, evenly among all, have the word `needle`.
const RARE: u64 = 60;
/// Enough events of each that a page of them is full with few events already.
const USERS: u32 = 1000;
const GROUPS: usize = SUBJECTS.len() * FAULTS.len();

/// Makes events.
pub struct Made {
    random: fastrand::Rng,
    /// Sums of the groups' weights.
    weights: Vec<f64>,
    at_ms: f64,
    step_ms: f64,
    number: u64,
    rare_every: u64,
}

impl Made {
    /// `count` events that end now.
    pub fn new(count: u64, now_ms: i64) -> Self {
        let mut sum = 0.0;
        let weight = |rank: usize| {
            sum += 1.0 / (rank + 1) as f64;
            sum
        };
        Self {
            random: fastrand::Rng::with_seed(count),
            weights: (0..GROUPS).map(weight).collect(),
            at_ms: (now_ms - SPAN_MS) as f64,
            step_ms: SPAN_MS as f64 / count as f64,
            number: 0,
            rare_every: (count / RARE).max(1),
        }
    }

    /// The next ones, one a line.
    pub fn lines(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count * 500);
        (0..count).for_each(|_| self.line(&mut text));
        text
    }

    fn line(&mut self, text: &mut String) {
        let random = &mut self.random;
        let wanted = random.f64() * self.weights[GROUPS - 1];
        let group = self.weights.partition_point(|sum| *sum < wanted).min(GROUPS - 1);
        let (subject, fault) = (SUBJECTS[group % SUBJECTS.len()], FAULTS[group / SUBJECTS.len()]);
        self.at_ms += self.step_ms;
        // Some come a little late.
        let at_ms = self.at_ms as i64 - i64::from(random.u8(..10) == 0) * random.i64(0..2000);
        let at = mainstay::clock::rfc3339_ms(mainstay::clock::from_epoch_ms(at_ms));
        self.number += 1;
        let rare = if self.number.is_multiple_of(self.rare_every) {
            " needle"
        } else {
            ""
        };
        let written = write!(
            text,
            r#"{{"id":"{}","timestamp":"{at}","type":"{}","severity":"{}","message":"{subject}: {fault}, order {} after {} ms{rare}","#,
            uuid::Uuid::from_u128(random.u128(..)),
            KINDS[group % 4],
            SEVERITIES[if random.u8(..10) == 0 { 3 } else { group % 3 }],
            random.u32(..1_000_000),
            random.u16(..5000),
        );
        written.expect("a string takes it");
        let written = write!(
            text,
            r#""userId":{},"ip":"10.0.{}.{}","path":"/api/{subject}/{}","requestId":"{:032x}","source":"{}","release":"1.{}.0","environment":"production","tags":{{"region":"r{}","host":"web-{}"}}"#,
            random.u32(..USERS),
            random.u8(..),
            random.u8(..),
            group / 50,
            random.u128(..),
            SOURCES[group % 5],
            random.u8(..8),
            random.u8(..6),
            random.u8(..20),
        );
        written.expect("a string takes it");
        if group % 3 == 0 {
            let frames = (0..6).map(|n| {
                format!(
                    r#"{{"module":"{subject}","function":"step_{n}_{group}","file":"src/{subject}.py","line":{}}}"#,
                    10 + n
                )
            });
            let frames = frames.collect::<Vec<_>>().join(",");
            write!(
                text,
                r#","exception":{{"type":"{subject}Error","value":"{fault}","frames":[{frames}]}}"#
            )
            .expect("a string takes it");
        }
        text.push_str("}\n");
    }
}
