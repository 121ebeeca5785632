use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

struct Shown(Sender<Vec<u8>>);

impl std::io::Write for Shown {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(text.to_vec());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn output() -> (Arc<Queue>, Receiver<Vec<u8>>) {
    let (seen, calls) = channel();
    (Queue::start("test", Shown(seen)).expect("a thread"), calls)
}

/// What `tell` logs, as people and as machines read it.
fn logged(tell: impl FnOnce()) -> (String, String) {
    let ((console, people), (file, machines)) = (output(), output());
    let log = tracing_subscriber::registry().with(Lines::to(Some(console.clone()), Some(file.clone()), false));
    tracing::subscriber::with_default(log, tell);
    let text = |queue: Arc<Queue>, calls: Receiver<Vec<u8>>| {
        queue.flush(Duration::from_secs(20));
        String::from_utf8(calls.try_iter().flatten().collect()).expect("text")
    };
    (text(console, people), text(file, machines))
}

#[test]
fn an_event_is_one_line_for_people_and_one_object_for_machines() {
    let (people, machines) = logged(|| {
        let absent: Option<&str> = None;
        tracing::info!(target: "here", id = %"a-1", absent, count = 3_u64, took = 1.5, good = true, less = -2, "done");
    });
    let (time, rest) = people.split_once(' ').expect("a time");
    assert_eq!(rest, " INFO done id=a-1 count=3 took=1.5 good=true less=-2\n");
    assert!(
        time.parse::<Timestamp>().is_ok() && time.len() == "2025-08-09T10:11:12.000000Z".len(),
        "{time}"
    );
    let object: Value = serde_json::from_str(&machines).expect("JSON");
    assert_eq!(object["timestamp"], json!(time));
    let expected =
        r#""level":"INFO","message":"done","id":"a-1","count":3,"took":1.5,"good":true,"less":-2,"target":"here"}"#;
    assert_eq!(machines.split_once(',').expect("members").1.trim_end(), expected);
}

#[test]
fn nothing_in_a_value_breaks_the_line_or_moves_the_cursor() {
    let (people, machines) = logged(|| {
        tracing::warn!(text = "a\nb\x1b[2J", shown = %"c\r\u{9b}d", not = f64::NAN, "e\nf \"g\"");
    });
    let rest = people.split_once(' ').expect("a time").1;
    assert_eq!(
        rest,
        " WARN e\\nf \"g\" text=\"a\\nb\\u{1b}[2J\" shown=c\\r\\u{9b}d not=NaN\n"
    );
    let object: Value = serde_json::from_str(&machines).expect("JSON");
    assert_eq!(
        (&object["message"], &object["text"], &object["shown"], &object["not"]),
        (
            &json!("e\nf \"g\""),
            &json!("a\nb\x1b[2J"),
            &json!("c\r\u{9b}d"),
            &json!("NaN")
        )
    );
    assert_eq!(machines.lines().count(), 1);
}

#[test]
fn what_is_logged_while_this_thread_makes_a_line_is_not_lost() {
    let (people, machines) = logged(|| {
        WORDS.with(|words| {
            let _making = words.borrow_mut();
            tracing::info!("inner");
        });
        tracing::info!("outer");
    });
    assert!(
        people.contains(" INFO inner\n") && people.ends_with(" INFO outer\n"),
        "{people}"
    );
    assert_eq!(machines.lines().count(), 2);
}

#[test]
fn what_came_through_the_log_crate_is_shown_under_its_own_target() {
    let (people, machines) = logged(|| {
        tracing::event!(Level::WARN, { "log.target" = "r2d2", "log.line" = 7 }, "no connection");
    });
    assert!(people.ends_with(" WARN no connection\n"), "{people}");
    let expected = r#""level":"WARN","message":"no connection","target":"r2d2"}"#;
    assert!(machines.trim_end().ends_with(expected), "{machines}");
}
