//! The log (floor 7): people read the console, machines the daily JSON files.
//!
//! What must stay true: logging never holds a request up: writers are threads of their own with bounded queues; at
//! most [`KEPT_FILES`] days are kept, so that the log can't fill the disk for good. RUST_LOG filters both.

use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

const KEPT_FILES: usize = 14;
/// Lines that wait for each output; further ones are dropped rather than holding anybody up.
const QUEUED_LINES: usize = 16_384;
/// Our own lines and everybody's warnings, but not Rocket's: what it says of a request, our access line says better.
const DEFAULT_FILTER: &str = "warn,mainstay=info,rocket=off,_=off";

fn queued(writer: impl std::io::Write + Send + 'static, name: &str) -> (NonBlocking, WorkerGuard) {
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
    let (file, problem) = match roll(folder) {
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

/// The daily file.
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
