//! The words that the scanner knows (floor 2, pure): what they are is data, what follows from it is in `words` and `scanner`.
//!
//! What must stay true: a list is only changed together with the version of the rules, because every key depends on it.

/// Words that stand for one of a few values; a template that differs in one of them says something else.
const CONSTANTS: &[&str] = &["true", "false", "null", "none", "nil", "undefined", "nan"];

/// What a name follows: `user bob`, `table "orders"`.
#[rustfmt::skip]
const NAMED: &[&str] = &[
    "account", "actor", "addon", "alias", "app", "application", "bean", "branch", "broker", "bucket", "channel",
    "class", "client", "cluster", "collection", "column", "command", "component", "consumer", "container",
    "controller", "cookie", "daemon", "database", "dataset", "db", "deployment", "dev", "device", "directory", "disk",
    "domain", "endpoint", "env", "executor", "extension", "field", "file", "filesystem", "folder", "function",
    "group", "handler", "host", "hostname", "image", "index", "instance", "interface", "job", "key", "keyspace",
    "label", "library", "listener", "machine", "member", "method", "migration", "module", "mount", "named",
    "namespace", "network", "node", "object", "operator", "option", "package", "param", "parameter", "partition",
    "peer", "plugin", "pod", "policy", "pool", "principal", "process", "processor", "producer", "profile", "program",
    "project", "property", "provider", "queue", "realm", "region", "relation", "replica", "repository", "resource",
    "role", "room", "route", "schema", "secret", "segment", "server", "service", "session", "setting", "shard",
    "site", "source", "stage", "stream", "subnet", "subscription", "symbol", "table", "tablespace", "tag", "target",
    "task", "template", "tenant", "thread", "token", "topic", "unit", "uploader", "user", "username", "variable",
    "view", "vm", "volume", "watcher", "worker", "zone",
];

/// Words that only a sentence has.
#[rustfmt::skip]
const GRAMMAR: &[&str] = &[
    "a", "about", "after", "again", "all", "already", "an", "and", "are", "as", "at", "be", "because", "before",
    "but", "by", "can", "can't", "cannot", "contains", "could", "couldn't", "did", "didn't", "does", "doesn't", "due",
    "for", "from", "had", "has", "have", "in", "into", "is", "isn't", "it", "may", "must", "needs", "never", "no",
    "not", "of", "on", "or", "out", "over", "should", "such", "than", "that", "the", "this", "to", "under", "until",
    "up", "was", "wasn't", "were", "when", "which", "while", "will", "with", "within", "without", "won't", "would",
    "yet",
];

/// Words after a [`NAMED`] one that say what became of it, as those of [`GRAMMAR`] do, rather than which one it is.
#[rustfmt::skip]
const OUTCOMES: &[&str] = &[
    "backlog", "busy", "cache", "disabled", "down", "empty", "error", "exceeds", "exists", "expired", "fail",
    "failed", "fails", "failure", "found", "full", "gone", "id", "inactive", "invalid", "key", "limit", "lock",
    "lost", "missing", "name", "names", "offline", "ok", "online", "pool", "port", "quota", "ready", "size", "state",
    "status", "still", "stuck", "table", "timeout", "type", "unable", "unavailable", "unhealthy", "unknown",
    "unreachable",
];

/// Capitalised words that make a phrase of those around them: `Bad Gateway`, `Too Large`.
const OF_PHRASES: &[&str] = &[
    "bad",
    "fatal",
    "illegal",
    "insufficient",
    "internal",
    "too",
    "unprocessable",
    "wrong",
];

/// The last words of such phrases, beside [`OUTCOMES`]: `Stack Overflow`.
#[rustfmt::skip]
const ENDS_OF_PHRASES: &[&str] = &[
    "abort", "conflict", "exception", "fault", "large", "long", "mismatch", "overflow", "pipe", "redirect", "request",
    "requests", "reset", "underflow", "violation", "warning",
];

/// Units of numbers, with a space before them or without.
#[rustfmt::skip]
const UNITS: &[&str] = &[
    "b", "byte", "bytes", "c", "day", "days", "eb", "f", "gb", "ghz", "gib", "hour", "hours", "hr", "hrs", "hz", "kb",
    "khz", "kib", "mb", "mhz", "mib", "microseconds", "millis", "milliseconds", "min", "mins", "minute", "minutes",
    "ms", "nanoseconds", "ns", "pb", "percent", "rpm", "s", "sec", "second", "seconds", "secs", "tb", "tib", "us",
    "week", "weeks",
];

/// The last part of a name with one dot that is a host.
#[rustfmt::skip]
const TLDS: &[&str] = &[
    "at", "au", "biz", "br", "ca", "ch", "cn", "co", "com", "cz", "de", "dev", "edu", "es", "eu", "fr", "gov", "hk",
    "hu", "in", "info", "internal", "io", "it", "jp", "kr", "lan", "local", "localdomain", "mil", "mx", "net", "nl",
    "no", "org", "pl", "pt", "ro", "ru", "se", "tr", "tw", "ua", "uk", "us",
];

#[rustfmt::skip]
const MONTHS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec", "January", "February",
    "March", "April", "June", "July", "August", "September", "October", "November", "December", "JAN", "FEB", "MAR",
    "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

#[rustfmt::skip]
const WEEKDAYS: &[&str] = &[
    "Mon", "Tue", "Tues", "Wed", "Thu", "Thur", "Thurs", "Fri", "Sat", "Sun", "Monday", "Tuesday", "Wednesday",
    "Thursday", "Friday", "Saturday", "Sunday",
];

/// What may follow a time.
#[rustfmt::skip]
const ZONES: &[&str] = &[
    "UTC", "GMT", "Z", "CET", "CEST", "EET", "EEST", "MSK", "BST", "IST", "JST", "KST", "EST", "EDT", "CST", "CDT",
    "MST", "MDT", "PST", "PDT", "AEST", "AM", "PM", "am", "pm",
];

/// What an HTTP request line begins with; it stays readable inside quotes, because it tells errors apart.
const VERBS: &[&str] = &[
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE",
];

/// Most bytes of a word of these lists.
const LONGEST: usize = 15;

/// A list's words as numbers, so that a word is found by one look or two: each place holds the number of a word or 0.
struct Words<const PLACES: usize>([u128; PLACES]);

impl<const PLACES: usize> Words<PLACES> {
    const fn of(lists: &[&[&str]]) -> Self {
        let mut places = [0; PLACES];
        let mut list = 0;
        while list < lists.len() {
            let mut at = 0;
            while at < lists[list].len() {
                let number = number(lists[list][at]);
                let mut place = place(number, PLACES);
                while places[place] != 0 {
                    place = (place + 1) % PLACES;
                }
                places[place] = number;
                at += 1;
            }
            list += 1;
        }
        Self(places)
    }

    /// Whether the word is in the list as it is written.
    fn has(&self, word: &str) -> bool {
        word.len() <= LONGEST && self.has_number(number(word))
    }

    /// Whether the word, in any case, is in the list.
    fn has_any_case(&self, word: &str) -> bool {
        word.len() <= LONGEST && self.has_number(lower(number(word)))
    }

    fn has_number(&self, number: u128) -> bool {
        let mut place = place(number, PLACES);
        // Half of the places are empty at least.
        while self.0[place] != 0 {
            if self.0[place] == number {
                return true;
            }
            place = (place + 1) % PLACES;
        }
        false
    }
}

const fn place(number: u128, places: usize) -> usize {
    let mixed = (number as u64 ^ ((number >> 64) as u64).rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize % places
}

/// The bytes of a word of at most [`LONGEST`] and its length: never 0.
const fn number(word: &str) -> u128 {
    let bytes = word.as_bytes();
    let length = bytes.len();
    let text = if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        u64::from_le_bytes(*first) as u128 | ((u64::from_le_bytes(*last) as u128) << (8 * (length - 8)))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u32::from_le_bytes(*first) as u128 | ((u32::from_le_bytes(*last) as u128) << (8 * (length - 4)))
    } else if length > 0 {
        let middle = (bytes[length / 2] as u128) << (8 * (length / 2));
        bytes[0] as u128 | middle | ((bytes[length - 1] as u128) << (8 * (length - 1)))
    } else {
        0
    };
    text | ((length as u128 + 1) << 120)
}

/// The number of the word in small letters: each capital of ASCII gets the bit that makes it one.
const fn lower(number: u128) -> u128 {
    const ONES: u128 = u128::MAX / 255;
    let low = number & (0x7f * ONES);
    let (from_a, beyond_z) = (low + 0x3f * ONES, low + 0x25 * ONES);
    number | ((from_a & !beyond_z & !number & (0x80 * ONES)) >> 2)
}

static CONSTANT_WORDS: Words<32> = Words::of(&[CONSTANTS]);
static NAMED_WORDS: Words<512> = Words::of(&[NAMED]);
static NOT_NAME_WORDS: Words<512> = Words::of(&[GRAMMAR, OUTCOMES]);
static IN_NO_NAME_WORDS: Words<256> = Words::of(&[GRAMMAR, OF_PHRASES]);
static ENDS_NO_NAME_WORDS: Words<256> = Words::of(&[OUTCOMES, ENDS_OF_PHRASES]);
static UNIT_WORDS: Words<128> = Words::of(&[UNITS]);
static DATED_WORDS: Words<128> = Words::of(&[MONTHS, WEEKDAYS]);
static ZONE_WORDS: Words<64> = Words::of(&[ZONES]);
static VERB_WORDS: Words<32> = Words::of(&[VERBS]);
static TLD_WORDS: Words<128> = Words::of(&[TLDS]);

#[inline]
pub(super) fn is_constant(word: &str) -> bool {
    let first = word.as_bytes()[0] | 0x20;
    // No other first letter and length is in the list.
    let likely = match word.len() {
        3 => first == b'n',
        4 => matches!(first, b't' | b'n'),
        5 => first == b'f',
        9 => first == b'u',
        _ => false,
    };
    likely && CONSTANT_WORDS.has_any_case(word)
}

/// The lengths, as bits, that the words of [`NAMED`] with a first letter and with a last letter have: most words of a text
/// are told by them.
static NAMED_LENGTHS: [[u32; 32]; 2] = {
    let mut lengths = [[0; 32]; 2];
    let mut at = 0;
    while at < NAMED.len() {
        let word = NAMED[at].as_bytes();
        lengths[0][letter(word[0])] |= 1 << word.len();
        lengths[1][letter(word[word.len() - 1])] |= 1 << word.len();
        at += 1;
    }
    lengths
};

/// A letter's place in the alphabet, in either case; that of another byte is any.
const fn letter(byte: u8) -> usize {
    (byte & 0x1f) as usize
}

#[inline]
pub(super) fn names_something(word: &str) -> bool {
    let bytes = word.as_bytes();
    let length = bytes.len();
    length <= LONGEST
        && (NAMED_LENGTHS[0][letter(bytes[0])] & NAMED_LENGTHS[1][letter(bytes[length - 1])] & (1 << length)) != 0
        && NAMED_WORDS.has_any_case(word)
}

/// Whether the word can be a name where one is expected.
pub(super) fn can_be_name(word: &str) -> bool {
    let participle = word.len() > 4 && (word.ends_with("ed") || word.ends_with("ing"));
    !participle && !NOT_NAME_WORDS.has_any_case(word)
}

/// Whether no name of several words has this word.
pub(super) fn is_in_no_name(word: &str) -> bool {
    IN_NO_NAME_WORDS.has_any_case(word)
}

/// Whether several words that end with this one say what became of something.
pub(super) fn ends_no_name(word: &str) -> bool {
    (word.len() > 4 && word.ends_with("ed")) || ENDS_NO_NAME_WORDS.has_any_case(word)
}

pub(super) fn is_unit(word: &str) -> bool {
    UNIT_WORDS.has_any_case(word)
}

pub(super) fn is_tld(part: &str) -> bool {
    TLD_WORDS.has(part)
}

pub(super) fn is_day_or_month(word: &str) -> bool {
    DATED_WORDS.has(word)
}

pub(super) fn is_zone(word: &str) -> bool {
    ZONE_WORDS.has(word)
}

pub(super) fn is_verb(word: &str) -> bool {
    VERB_WORDS.has(word)
}

#[cfg(test)]
mod tests;
