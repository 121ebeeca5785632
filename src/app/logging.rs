//! The log (floor 7): people read the console, machines the daily JSON files.
//!
//! What must stay true: logging never holds a request up: writers are threads of their own with bounded queues; at
//! most [`KEPT_FILES`] days are kept, so that the log can't fill the disk for good. RUST_LOG filters both.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

const KEPT_FILES: usize = 14;
/// Lines that wait for each output; further ones are dropped rather than holding anybody up.
const QUEUED_LINES: usize = 16_384;
/// Between two looks whether the folder is still there.
const LOOK: Duration = Duration::from_secs(1);
/// Our own lines and everybody's warnings, but not Rocket's: what it says of a request, our access line says better.
const DEFAULT_FILTER: &str = "warn,mainstay=info,rocket=off,_=off";

fn queued(writer: impl Write + Send + 'static, name: &str) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .thread_name(name)
        .finish(writer)
}

/// Starts logging; what is queued is written when the guards are dropped. Without a usable folder only the console
/// is written to, and says so.
pub(super) fn start(folder: &Path) -> Vec<WorkerGuard> {
    let (console, console_guard) = queued(std::io::stderr(), "log-console");
    let mut guards = vec![console_guard];
    let (file, problem) = match Daily::in_folder(folder) {
        Ok(file) => {
            let (file, guard) = queued(file, "log-file");
            guards.push(guard);
            (Some(file), None)
        }
        Err(problem) => (None, Some(problem)),
    };
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let people = fmt::layer().with_target(false).with_ansi(colours).with_writer(console);
    let machines = file.map(|file| fmt::layer().json().flatten_event(true).with_writer(file));
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // Rocket's macros log in the name of the module they are used in, with `::_` behind it; a directive can't name that.
    let not_rocket = filter_fn(|metadata| !metadata.target().ends_with("::_"));
    // One filter for both: each layer's own would be asked for every line.
    let log = tracing_subscriber::registry()
        .with(people)
        .with(machines)
        .with(chosen)
        .with(not_rocket);
    // An embedding program or a test may have set a subscriber already; then its log is used.
    let _ = log.try_init();
    if let Some(error) = problem {
        tracing::error!(%error, folder = %folder.display(), "no log file: only the console is written to");
    }
    guards
}

/// The daily file. Where somebody removed its folder it begins anew: what goes into a removed file is read by nobody.
struct Daily {
    folder: PathBuf,
    file: RollingFileAppender,
    next_look: Instant,
}

impl Daily {
    fn in_folder(folder: &Path) -> Result<Self, String> {
        Ok(Self {
            folder: folder.to_owned(),
            file: roll(folder)?,
            next_look: Instant::now() + LOOK,
        })
    }

    fn look(&mut self, now: Instant) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        if !self.folder.is_dir()
            && let Ok(anew) = roll(&self.folder)
        {
            self.file = anew;
        }
    }
}

impl Write for Daily {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.look(Instant::now());
        self.file.write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn roll(folder: &Path) -> Result<RollingFileAppender, String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("mainstay")
        .filename_suffix("json")
        .max_log_files(KEPT_FILES)
        .build(folder);
    file.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_folder_is_made_again_with_the_next_line() {
        let above = tempfile::tempdir().expect("folder");
        let folder = above.path().join("logs");
        let mut daily = Daily::in_folder(&folder).expect("made");
        daily.write_all(b"one\n").expect("written");
        std::fs::remove_dir_all(&folder).expect("removed");
        daily.look(Instant::now() + LOOK);
        daily.write_all(b"two\n").expect("written");
        let mut files = std::fs::read_dir(&folder).expect("there again");
        let file = files.next().expect("a file").expect("read").path();
        assert_eq!(std::fs::read_to_string(file).expect("read"), "two\n");
    }
}
