//! How well events are grouped, at the front door: messages whose true templates are known go through
//! `mainstay errors group`, and the groups are compared with the truth.

mod common;
mod messages;

use std::io::Write;
use std::process::{Output, Stdio};

use common::mainstay;
use messages::{HELD_OUT, Message, Score, TUNED, programs, score, stream};

fn group(input: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines");
    std::fs::write(&file, input).expect("written");
    mainstay(folder.path())
        .args(["errors", "group"])
        .arg(&file)
        .output()
        .expect("it runs")
}

/// Each line's group and template.
fn answers(output: &Output) -> Vec<(String, String)> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let split = |line: &str| {
        line.split_once('\t')
            .map(|(id, template)| (id.to_owned(), template.to_owned()))
    };
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(|line| split(line).expect("two columns")).collect()
}

fn scored(messages: &[Message]) -> (Score, Vec<usize>) {
    let lines: String = messages.iter().map(|m| m.text.clone() + "\n").collect();
    let groups: Vec<String> = answers(&group(&lines)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(groups.len(), messages.len());
    score(messages, &groups)
}

/// Each program's stream on its own: the means.
fn each(set: &'static str, seed: u64) -> Score {
    let programs = programs(set);
    let (mut accuracy, mut f1) = (0.0, 0.0);
    for (name, templates) in &programs {
        let (score, missed) = scored(&stream(templates, 2000, seed));
        let missed: Vec<&str> = set
            .lines()
            .enumerate()
            .filter(|(i, _)| missed.contains(i))
            .map(|(_, l)| l)
            .collect();
        println!("{name}: accuracy {:.3}, F1 {:.3} {missed:?}", score.accuracy, score.f1);
        accuracy += score.accuracy;
        f1 += score.f1;
    }
    let count = programs.len() as f64;
    let mean = Score {
        accuracy: accuracy / count,
        f1: f1 / count,
    };
    println!("mean of {count}: accuracy {:.3}, F1 {:.3}", mean.accuracy, mean.f1);
    mean
}

#[test]
fn known_programs_are_grouped_as_they_should_be() {
    let mean = each(TUNED, 7);
    assert!(mean.accuracy >= 0.97 && mean.f1 >= 0.95, "{mean:?}");
}

#[test]
fn all_programs_in_one_stream_too() {
    let all: Vec<_> = programs(TUNED)
        .into_iter()
        .flat_map(|(_, templates)| templates)
        .collect();
    let (score, _) = scored(&stream(&all, 30_000, 9));
    println!("mixed: accuracy {:.3}, F1 {:.3}", score.accuracy, score.f1);
    assert!(score.accuracy >= 0.96 && score.f1 >= 0.93, "{score:?}");
}

#[test]
fn programs_that_the_rules_were_not_made_for_too() {
    let mean = each(HELD_OUT, 11);
    assert!(mean.accuracy >= 0.95 && mean.f1 >= 0.88, "{mean:?}");
}

#[test]
fn lines_and_events_are_told_apart_and_answered_in_order() {
    let input = concat!(
        "user 17 not found\n",
        r#"{"message": "user 4 not found"}"#,
        "\n",
        r#"{"message": "user 4 not found", "source": "shop"}"#,
        "\n",
        "\n",
        r#"{"level": "error"}"#,
        "\n",
        "user 99 not found"
    );
    let answers = answers(&group(input));
    let ids: Vec<&str> = answers.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["E-1", "E-1", "E-2", "E-3", "E-4", "E-1"]);
    assert_eq!(answers[0].1, "user <*> not found");
}

#[test]
fn a_later_line_unites_the_groups_of_earlier_ones() {
    let input = "lost table 'a' for good\nlost table 'b' for good\nlost table 'c' for good\n";
    let answers = answers(&group(input));
    assert!(
        answers
            .iter()
            .all(|(id, template)| id == "E-1" && template == "lost table <*> for good"),
        "{answers:?}"
    );
}

#[test]
fn a_wrong_event_is_named_by_its_line() {
    let output = group("fine\n{\"message\": \"x\", \"severity\": \"bad\"}\n");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("line 2") && told.contains("/severity") && told.contains("critical"),
        "{told}"
    );
    assert!(output.stdout.is_empty());

    let missing = mainstay(std::env::temp_dir().as_path())
        .args(["errors", "group", "no-such-file"])
        .output()
        .expect("runs");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file"));
}

#[test]
fn standard_input_is_read_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = mainstay(folder.path())
        .args(["errors", "group", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"a b 1\na b 2\n")
        .expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "E-1\ta b <*>\nE-1\ta b <*>\n");
}

#[test]
fn the_readmes_example_is_true() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("$ printf '").expect("the first");
    let (_, rest) = rest.split_once("$ printf 'No table").expect("the example");
    let (input, rest) = rest.split_once("' | mainstay errors group -\n").expect("the command");
    let (answer, _) = rest.split_once("```").expect("closed");
    let output = group(&format!("No table{input}").replace("\\n", "\n"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), answer);
}
