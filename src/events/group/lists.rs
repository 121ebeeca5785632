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

/// Words after a [`NAMED`] one that say what became of it, rather than which one it is.
#[rustfmt::skip]
const NOT_NAMES: &[&str] = &[
    "a", "about", "after", "again", "all", "already", "an", "and", "are", "as", "at", "backlog", "be", "because",
    "before", "busy", "but", "by", "cache", "can", "can't", "cannot", "contains", "could", "couldn't", "did",
    "didn't", "disabled", "does", "doesn't", "down", "due", "empty", "error", "exceeds", "exists", "expired", "fail",
    "failed", "fails", "failure", "for", "found", "from", "full", "gone", "had", "has", "have", "id", "in",
    "inactive", "into", "invalid", "is", "isn't", "it", "key", "limit", "lock", "lost", "may", "missing", "must",
    "name", "names", "needs", "never", "no", "not", "of", "offline", "ok", "on", "online", "or", "out", "over",
    "pool", "port", "quota", "ready", "should", "size", "state", "status", "still", "stuck", "such", "table", "than",
    "that", "the", "this", "timeout", "to", "type", "unable", "unavailable", "under", "unhealthy", "unknown",
    "unreachable", "until", "up", "was", "wasn't", "were", "when", "which", "while", "will", "with", "within",
    "without", "won't", "would", "yet",
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
const LONGEST: usize = 16;

/// Whether the word, in any case, is in the list.
fn among(list: &[&str], word: &str) -> bool {
    if word.len() > LONGEST {
        return false;
    }
    let mut lower = [0; LONGEST];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    list.iter().any(|known| known.as_bytes() == lower)
}

pub(super) fn is_constant(word: &str) -> bool {
    matches!(word.as_bytes()[0] | 0x20, b't' | b'f' | b'n' | b'u') && among(CONSTANTS, word)
}

/// The lengths, as bits, that the words of [`NAMED`] with a first letter have: most words of a text are told by it.
static NAMED_LENGTHS: [u32; 26] = {
    let mut lengths = [0; 26];
    let mut at = 0;
    while at < NAMED.len() {
        let word = NAMED[at].as_bytes();
        lengths[(word[0] - b'a') as usize] |= 1 << word.len();
        at += 1;
    }
    lengths
};

pub(super) fn names_something(word: &str) -> bool {
    let letter = (word.as_bytes()[0] | 0x20).wrapping_sub(b'a');
    let lengths = NAMED_LENGTHS.get(usize::from(letter)).copied().unwrap_or(0);
    word.len() <= LONGEST && lengths & (1 << word.len()) != 0 && sorted_has(NAMED, word)
}

/// Whether the word can be a name where one is expected.
pub(super) fn can_be_name(word: &str) -> bool {
    let participle = word.len() > 4 && (word.ends_with("ed") || word.ends_with("ing"));
    !participle && !sorted_has(NOT_NAMES, word)
}

pub(super) fn is_unit(word: &str) -> bool {
    sorted_has(UNITS, word)
}

pub(super) fn is_tld(part: &str) -> bool {
    TLDS.binary_search(&part).is_ok()
}

pub(super) fn is_day_or_month(word: &str) -> bool {
    matches!(word.len(), 3..=9) && (MONTHS.contains(&word) || WEEKDAYS.contains(&word))
}

pub(super) fn is_zone(word: &str) -> bool {
    word.len() <= 4 && ZONES.contains(&word)
}

pub(super) fn is_verb(word: &str) -> bool {
    word.len() <= 7 && VERBS.contains(&word)
}

/// The same as [`among`] for a list in order.
fn sorted_has(list: &[&str], word: &str) -> bool {
    if word.len() > LONGEST {
        return false;
    }
    let mut lower = [0; LONGEST];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    list.binary_search_by(|known| known.as_bytes().cmp(lower)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_that_are_searched_by_halves_are_in_order() {
        for list in [NAMED, NOT_NAMES, UNITS, TLDS] {
            assert!(list.is_sorted(), "{:?}", list.windows(2).find(|w| w[0] >= w[1]));
        }
        assert!(names_something("User") && !names_something("denied") && is_unit("KB") && is_tld("org"));
    }
}
