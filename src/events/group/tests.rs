//! Tests of the keys: what varies doesn't split a group, what differs isn't merged, and the precedence.

use super::*;
use crate::events::model::{ErrorEvent, ErrorType};
use crate::events::parse;

fn event(json: &str) -> ErrorEvent {
    parse::event(json, crate::clock::from_epoch_ms(1_750_000_000_000)).unwrap()
}

fn of(json: &serde_json::Value) -> Scanned {
    scan(&event(&json.to_string()))
}

fn of_message(message: &str) -> Scanned {
    of(&serde_json::json!({ "message": message }))
}

#[test]
fn values_do_not_split_a_group() {
    for pair in [
        ["user 17 not found", "user 4242 not found"],
        [
            "order 0192f0c1-a2b3-7c4d-8e9f-001122334455 failed",
            "order 0192f0c1-ffff-7c4d-8e9f-aabbccddeeff failed",
        ],
        ["commit deadbeefcafe is missing", "commit 0badc0de1234 is missing"],
        ["commit deadbeef is missing", "commit fadedbee is missing"],
        [
            "cannot open '/srv/a.txt': no such file",
            "cannot open '/srv/b c.txt': no such file",
        ],
        ["cannot open /srv/a.txt: denied", "cannot open /home/x/y.md: denied"],
        [
            "cannot open C:\\Program Files\\My App\\x.log here",
            "cannot open D:\\y.log here",
        ],
        [
            "cannot open /srv/my files/a.txt, denied",
            "cannot open /srv/b.txt, denied",
        ],
        ["GET https://a.example/x?y=1 failed", "GET http://b.example/ failed"],
        ["GET /a?x=1&y=2 failed", "GET /b/c failed"],
        ["connect to 10.0.0.1:5432 refused", "connect to 10.0.0.22:5433 refused"],
        ["connect to [fe80::1]:80 refused", "connect to 10.0.0.22:5433 refused"],
        ["connect to db:5432 refused", "connect to db:5433 refused"],
        ["from 00:1b:44:11:3a:b7 now", "from aa:bb:cc:dd:ee:ff now"],
        ["took 12.5ms", "took 7ms"],
        ["took <1 sec to end", "took 7 s to end"],
        ["used 4.4 KB of it", "used 17 bytes of it"],
        ["ids [1, 2, 3] unknown", "ids [7] unknown"],
        ["tags ['a', 'b'] unknown", "tags ['c'] unknown"],
        ["tags [a, b, c] unknown", "tags [d, e] unknown"],
        ["mail to a@example.org bounced", "mail to bob@mail.example.com bounced"],
        ["key=17 rejected", "key=29 rejected"],
        ["key= rejected", "key=29 rejected"],
        [
            "at Sat Jun 18 02:08:10 2005 it fell",
            "at Mon May 2 12:00:00 2011 it fell",
        ],
        ["since 2025-01-02T03:04:05Z now", "since 2024-12-31T23:59:59.123Z now"],
        [
            "answer was {\"a\": 1} here",
            "answer was {\"b\": [2, {\"c\": null}]} here",
        ],
        ["id 1, id 2, id 3 lost", "id 4, id 5 lost"],
        ["worker(17) ended", "worker(4) ended"],
        ["E404", "E500"],
        ["«größe» fehlt: 7", "«größe» fehlt: 12"],
        ["用户 17 登录失败", "用户 4 登录失败"],
        ["a  b\t1", "a b 2"],
    ] {
        assert_eq!(
            of_message(pair[0]),
            of_message(pair[1]),
            "{pair:?} → {} / {}",
            template(pair[0]),
            template(pair[1])
        );
    }
}

#[test]
fn different_errors_are_not_merged() {
    for pair in [
        ["user 17 not found", "order 17 not found"],
        ["connection refused", "connection reset"],
        ["E404", "F404"],
        ["it doesn't work, isn't it", "it doesn't fail, isn't it"],
        ["permission denied: table users", "permission denied: table orders"],
        ["java.io.IOException: x", "java.io.EOFException: x"],
        ["ready=true", "ready=false"],
        ["got \"GET /a HTTP/1.1\" wrong", "got \"POST /a HTTP/1.1\" wrong"],
        [
            "action android.intent.action.SCREEN_ON",
            "action android.intent.action.SCREEN_OFF",
        ],
        ["you may go", "you will go"],
        ["a <*> b", "a b"],
    ] {
        assert_ne!(
            of_message(pair[0]),
            of_message(pair[1]),
            "{pair:?} → {}",
            template(pair[0])
        );
    }
}

#[test]
fn templates_read_well() {
    for (message, expected) in [
        ("user 17 not found in 'db2'.", "user <*> not found in <*>."),
        ("user 17 not found in 'main'.", "user <*> not found in 'main'."),
        ("database is locked: 5", "database is locked: <*>"),
        ("it doesn't work, isn't it", "it doesn't work, isn't it"),
        ("42", "<*>"),
        ("", ""),
        ("see https://x.example/a(b).", "see <*>."),
        ("a=1, b = 2; c:3", "a=<*>, b = <*>; c:<*>"),
        ("rhost=  user=root", "rhost=<*> user=root"),
        ("x == y => z", "x == y => z"),
        ("“quoted” ‘too’", "“quoted” ‘too’"),
    ] {
        assert_eq!(template(message), expected, "{message}");
    }
}

#[test]
fn a_template_is_its_own_template() {
    for message in [
        "user 17 not found in 'db2'.",
        "at 10.0.0.1:80, then [1, 2]",
        "a=1 b=2 (3)",
        "took 7 ms at /a/b",
    ] {
        let once = template(message);
        assert_eq!(template(&once), once);
    }
}

#[test]
fn whatever_a_text_holds_it_is_read() {
    let long =
        "x1 (".repeat(4000) + &"{\"a".repeat(2000) + &"é'".repeat(2000) + &"\"[".repeat(2000) + &"a:".repeat(2000);
    for end in (0..long.len()).step_by(977) {
        template(long.get(..end).unwrap_or_default());
    }
    let mut rng = fastrand::Rng::with_seed(5);
    let alphabet: Vec<char> = "a1 :/\\.'\"`([{<>}])=,;-_@%?T“”«…é用\u{0}\u{85}\u{feff}\n"
        .chars()
        .collect();
    for _ in 0..20_000 {
        let length = rng.usize(..40);
        let text: String = (0..length).map(|_| alphabet[rng.usize(..alphabet.len())]).collect();
        assert!(template(&text).len() <= 4 * text.len() + 4, "{text:?}");
    }
}

#[test]
fn source_and_type_separate_groups() {
    let base = scan(&event(r#"{"message":"x y"}"#));
    let source = scan(&event(r#"{"message":"x y","source":"shop"}"#));
    let kind = scan(&event(r#"{"message":"x y","type":"api"}"#));
    assert!(base != source && base != kind && source != kind);
    assert_eq!(event(r#"{"message":"x y","type":"api"}"#).kind, ErrorType::Api);
}

fn thrown(value: &str, line: u32, function: &str) -> Scanned {
    of(
        &serde_json::json!({ "message": value, "exception": { "type": "KeyError", "value": value, "frames": [
        { "module": "django.core", "function": "run", "line": line, "inApp": false },
        { "module": "shop.cart", "function": function, "line": line }] } }),
    )
}

#[test]
fn exceptions_group_by_type_and_own_frames() {
    assert_eq!(thrown("'a'", 3, "add"), thrown("'b' was gone", 99, "add"));
    assert_ne!(thrown("'a'", 3, "add"), thrown("'a'", 3, "remove"));
}

#[test]
fn causes_count_too() {
    let exception = |kind: &str, function: &str| crate::events::Exception {
        kind: Some(kind.to_owned()),
        frames: vec![crate::events::Frame {
            function: Some(function.to_owned()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let of = |chain: &[crate::events::Exception]| {
        let event = event(r#"{"message":"m"}"#);
        scan(Subject {
            thrown: chain.first(),
            causes: &chain[1..],
            ..Subject::from(&event)
        })
    };
    let one = of(&[exception("Failed", "pay"), exception("Refused", "connect")]);
    assert_eq!(one, of(&[exception("Failed", "pay"), exception("Refused", "connect")]));
    assert_ne!(one, of(&[exception("Failed", "pay"), exception("Timeout", "connect")]));
    assert_ne!(one, of(&[exception("Failed", "pay")]));
}

#[test]
fn without_frames_the_exceptions_value_counts() {
    let of = |value: &str| of(&serde_json::json!({ "message": "m", "exception": { "type": "E", "value": value } }));
    assert_eq!(of("row 1 gone"), of("row 2 gone"));
    assert_ne!(of("row 1 gone"), of("column 1 gone"));
}

#[test]
fn a_clients_fingerprint_decides_and_default_refines_it() {
    let of = |message: &str, fingerprint: &[&str]| {
        of(&serde_json::json!({ "message": message, "fingerprint": fingerprint }))
    };
    assert_eq!(of("a b", &["x"]), of("c d", &["x"]));
    assert_ne!(of("a b", &["x", "y"]), of("a b", &["xy"]));
    assert_ne!(of("a b", &["{{ default }}", "x"]), of("c d", &["{{ default }}", "x"]));
    assert_eq!(of("a 1", &["{{ default }}", "x"]), of("a 2", &["{{ default }}", "x"]));
}

#[test]
fn keys_are_stable_across_releases() {
    let key = of_message("user 17 not found in 'main' at 10:00").key;
    assert_eq!(format!("{key:032x}"), STABLE);
}

/// Written down once: a change here splits every stored group, and needs a new version of the rules.
const STABLE: &str = "f93d2984e894e94952f69b3f90024020";
