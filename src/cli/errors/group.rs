//! `mainstay errors group` (floor 8): the grouping of a file's lines, by the code that groups stored events.
//!
//! What must stay true: one answer for each line, in order, after the last line was read, because a later line may unite the
//! groups of earlier ones; memory doesn't grow with the number of lines; nothing is stored.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::{Map, Value};

use crate::cli::terminal::{Exit, Terminal};
use crate::clock::epoch_ms;
use crate::events::group::{self, Engine, Rules, Subject};
use crate::events::parse::{self, MAX_EVENT_BYTES, MAX_MESSAGE_BYTES};
use crate::events::{ErrorEvent, ErrorType, Severity, group_name};

const AFTER_HELP: &str = "\
A line that is a JSON object with a \"message\" is an event: of its members those that decide the grouping are read as
POST /api/monitoring/errors takes them (message, type, source, exception, causes, fingerprint), so exports and the JSON
logs of other programs will do; a member that an event can't have is left out, which is told at the end. Any other line is
a message. For each line, in order, its group and the group's template are printed, separated by a tab. Nothing is stored,
and the groups' numbers are those of this file alone.

Examples:
  mainstay errors group app.log | sort | uniq -c | sort -rn
  journalctl -o cat -p err | mainstay errors group -";

/// What the grouping reads of an event.
const GROUPED_BY: [&str; 6] = ["message", "type", "source", "exception", "causes", "fingerprint"];
/// Groups that are kept together until they are printed.
const PAGE: usize = 8192;

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// The file to read; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The version of the rules to group by, to see what another one makes of the same lines
    #[arg(long, value_name = "VERSION", value_parser = rules)]
    rules: Option<Rules>,
}

/// The version of a number.
fn rules(text: &str) -> Result<Rules, String> {
    let known = || Rules::ALL.map(|rules| rules.number().to_string()).join(", ");
    let asked = text.parse().ok().and_then(Rules::from_number);
    asked.ok_or_else(|| format!("must be one of {}", known()))
}

/// Why a file could not be grouped.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the temporary database failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

pub(super) fn run(arguments: &Arguments, now: Timestamp, terminal: &mut Terminal<'_>) -> io::Result<Exit> {
    let shown = arguments.file.display();
    let mut input: Box<dyn BufRead> = if arguments.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        match File::open(&arguments.file) {
            Ok(file) => Box::new(BufReader::with_capacity(1 << 16, file)),
            Err(error) => return terminal.fail(&format!("{shown} can't be read: {error}")),
        }
    };
    match Grouped::of(&mut *input, arguments.rules.unwrap_or_default(), now) {
        Ok(grouped) => match grouped.print(terminal) {
            Err(Failure::Io(error)) => Err(error),
            Err(failure) => terminal.fail(&failure),
            Ok(()) => grouped.odd.tell(terminal).map(|()| Exit::Done),
        },
        Err(failure) => terminal.fail(&format!("{shown}: {failure}")),
    }
}

/// A file's lines and their groups, in a temporary database.
struct Grouped {
    connection: Connection,
    engine: Engine,
    odd: Odd,
}

/// Lines that were grouped without a part of them.
#[derive(Default)]
struct Odd {
    lines: u64,
    /// Number of the first, and what is wrong with it.
    first: Option<(u64, String)>,
}

impl Odd {
    fn note(&mut self, number: u64, wrong: String) {
        self.lines += 1;
        self.first.get_or_insert((number, wrong));
    }

    fn tell(&self, terminal: &mut Terminal<'_>) -> io::Result<()> {
        let Some((number, wrong)) = &self.first else {
            return Ok(());
        };
        let lines = self.lines;
        let which = if lines == 1 {
            "1 line has"
        } else {
            &format!("{lines} lines have")
        };
        writeln!(
            terminal.err,
            "{which} parts that no event can have, grouped without them; the first is line {number}: {wrong}"
        )
    }
}

impl Grouped {
    fn of(input: &mut dyn BufRead, rules: Rules, now: Timestamp) -> Result<Self, Failure> {
        let connection = group::workspace()?;
        connection.execute_batch("CREATE TABLE pages (ids BLOB NOT NULL); BEGIN")?;
        let mut grouped = Self {
            connection,
            engine: Engine::of(rules),
            odd: Odd::default(),
        };
        let (mut line, mut page, mut number) = (Vec::new(), Vec::with_capacity(PAGE * 8), 0);
        while let Some(is_whole) = read_line(input, &mut line)? {
            number += 1;
            if !is_whole {
                let wrong = format!("must have at most {MAX_EVENT_BYTES} bytes");
                grouped.odd.note(number, wrong);
            }
            if page.is_empty() {
                grouped.engine.begin(&grouped.connection)?;
            }
            let text = if number == 1 { parse::without_mark(&line) } else { &line };
            let id = grouped.add(&String::from_utf8_lossy(text), number, now)?;
            page.extend_from_slice(&id.to_le_bytes());
            if page.len() == PAGE * 8 {
                grouped.keep(&mut page)?;
            }
        }
        grouped.keep(&mut page)?;
        Ok(grouped)
    }

    fn add(&mut self, line: &str, number: u64, now: Timestamp) -> Result<i64, Failure> {
        let (event, wrong) = event_of(line, now);
        if let Some(wrong) = wrong {
            self.odd.note(number, wrong);
        }
        if let Some(event) = event {
            return Ok(self.resolve(Subject::from(&event))?);
        }
        let message = cut(line);
        Ok(self.resolve(Subject {
            kind: ErrorType::System,
            source: None,
            message,
            thrown: None,
            causes: &[],
            fingerprint: &[],
            severity: Severity::Medium,
            timestamp_ms: epoch_ms(now),
            received_ms: epoch_ms(now),
        })?)
    }

    fn resolve(&mut self, subject: Subject<'_>) -> rusqlite::Result<i64> {
        self.engine.resolve(&self.connection, &group::scan(subject), &subject)
    }

    fn keep(&mut self, page: &mut Vec<u8>) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO pages (ids) VALUES (?1)")?
            .execute(params![page.as_slice()])?;
        page.clear();
        Ok(())
    }

    fn print(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let out = &mut io::BufWriter::new(&mut *terminal.out);
        let mut groups = self.connection.prepare(
            "SELECT r.id, r.template FROM groups g JOIN groups r ON r.id = coalesce(g.parent, g.id) WHERE g.id = ?1",
        )?;
        let mut pages = self.connection.prepare("SELECT ids FROM pages ORDER BY rowid")?;
        let mut rows = pages.query([])?;
        while let Some(row) = rows.next()? {
            let ids: Vec<u8> = row.get(0)?;
            for id in ids.as_chunks::<8>().0 {
                let text = groups.query_row([i64::from_le_bytes(*id)], |group| {
                    Ok(format!("{}\t{}", group_name(group.get(0)?), group.get::<_, String>(1)?))
                })?;
                io::Write::write_fmt(out, format_args!("{text}\n"))?;
            }
        }
        io::Write::flush(out)?;
        Ok(())
    }
}

/// No more of a line than a message may have.
fn cut(line: &str) -> &str {
    let mut end = line.len().min(MAX_MESSAGE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// The next line without its end, and whether it is whole: no more is kept of it than an event may have. `None` at the end.
fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let most = MAX_EVENT_BYTES + 1;
    let read = input.take(most as u64 + 1).read_until(b'\n', line)?;
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    } else if read > most {
        input.skip_until(b'\n')?;
        return Ok(Some(false));
    }
    Ok((read > 0).then_some(true))
}

/// The event of a line that is one, with what the grouping reads of it. A member that an event can't have is left out, and
/// what is wrong with it is told; a line without a sound message is a message.
fn event_of(line: &str, now: Timestamp) -> (Option<ErrorEvent>, Option<String>) {
    if !line.trim_start().starts_with('{') {
        return (None, None);
    }
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(line) else {
        return (None, None);
    };
    members.retain(|name, _| GROUPED_BY.contains(&name.as_str()));
    match members.get_mut("message") {
        None | Some(Value::Null) => return (None, None),
        Some(Value::String(message)) => message.truncate(cut(message).len()),
        Some(_) => {}
    }
    let mut wrong = None;
    loop {
        let flaws = match parse::event(&Value::Object(members.clone()).to_string(), now) {
            Ok(event) => return (Some(event), wrong),
            Err(flaws) => flaws,
        };
        let told: Vec<String> = flaws
            .iter()
            .map(|flaw| format!("{} {}", flaw.pointer, flaw.detail))
            .collect();
        wrong.get_or_insert(told.join("; "));
        let before = members.len();
        for flaw in &flaws {
            members.remove(flaw.pointer.split('/').nth(1).unwrap_or_default());
        }
        if !members.contains_key("message") || members.len() == before {
            return (None, wrong);
        }
    }
}
