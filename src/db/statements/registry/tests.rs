use super::*;

fn sample(ms: u64, slow: bool) -> Sample {
    Sample {
        at: Instant::now(),
        took: Duration::from_millis(ms),
        rows: 1,
        status: [0; 4],
        slow,
    }
}

fn statements() -> Statements {
    Statements::new(Duration::from_millis(100), Timestamp::UNIX_EPOCH)
}

#[test]
fn runs_with_other_values_count_together_and_control_is_not_counted() {
    let all = statements();
    for sql in [
        "SELECT 1",
        "select  1",
        "SELECT 2 -- two",
        "BEGIN IMMEDIATE",
        "PRAGMA x = 1",
        "SAVEPOINT job",
    ] {
        all.ran(sql.as_bytes(), &sample(1, false), "op");
    }
    let mut kept = all.kept().statements;
    kept.sort_by_key(|(_, figures)| figures.calls);
    let shown: Vec<_> = kept.iter().map(|(s, f)| (s.text.as_str(), f.calls)).collect();
    assert_eq!(shown, [("select ?", 1), ("SELECT ?", 2)]);
}

#[test]
fn the_rarest_make_room_and_the_totals_stay_true() {
    let all = statements();
    let runs = MOST_STATEMENTS * 3;
    for n in 0..runs {
        all.ran(format!("SELECT c{n} FROM t").as_bytes(), &sample(1, false), "op");
        all.ran(b"SELECT often FROM t", &sample(1, false), "op");
    }
    let kept = all.kept();
    assert!(kept.statements.len() <= MOST_STATEMENTS);
    assert!(
        kept.statements
            .iter()
            .any(|(s, f)| s.text == "SELECT often FROM t" && f.calls == runs as u64)
    );
    let calls: u64 = kept.statements.iter().map(|(_, f)| f.calls).sum();
    assert_eq!(calls + kept.other.calls, 2 * runs as u64);
    all.reset(Timestamp::UNIX_EPOCH);
    assert!(all.kept().statements.is_empty() && all.kept().other.calls == 0);
}

#[test]
fn long_texts_are_cut_and_threads_count_together() {
    let all = statements();
    let long = format!("SELECT {} FROM t", "größe, ".repeat(20_000));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| drop(all.ran(long.as_bytes(), &sample(1, false), "op"))));
        }
    });
    let kept = all.kept().statements;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].0.text.chars().count(), MOST_CHARS);
    assert_eq!((kept[0].1.calls, kept[0].0.sample.as_str()), (800, ""));
}

#[test]
fn a_slow_statement_is_told_once_a_minute_with_those_that_were_not() {
    let all = statements();
    let slow = sample(200, true);
    let Ran::Slow(statement) = all.ran(b"SELECT 1", &slow, "op") else {
        panic!("slow")
    };
    assert_eq!(all.tell(&statement, &slow), Some(0));
    assert_eq!(all.tell(&statement, &slow), None);
    assert_eq!(all.tell(&statement, &slow), None);
    let later = Sample {
        at: slow.at + TELL_EVERY,
        ..slow
    };
    assert_eq!(all.tell(&statement, &later), Some(2));
    assert_eq!(all.waiting.lock().len(), 1, "asked for once");
}
