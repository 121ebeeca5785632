//! The log (floor 7): people read the console, machines the daily JSON files.
//!
//! What must stay true: logging never holds a request up: writers are threads of their own with bounded queues; at
//! most [`KEPT_FILES`] days are kept, so that the log can't fill the disk for good. RUST_LOG filters both.

use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

const KEPT_FILES: usize = 14;
const QUEUED_LINES: usize = 16_384;
/// Our own lines and everybody's warnings, but not Rocket's: what it says of a request, our access line says better.
const DEFAULT_FILTER: &str = "warn,mainstay=info,rocket=off,_=off";

fn queued(writer: impl std::io::Write + Send + 'static, name: &str) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .thread_name(name)
        .finish(writer)
}

/// Rocket's macros log in the name of the module they are used in, with `::_` behind it; a directive can't name that.
fn filter<S>() -> impl Filter<S> {
    let chosen = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    chosen.and(filter_fn(|metadata| !metadata.target().ends_with("::_")))
}

/// Starts logging; what is queued is written when the guards are dropped. Without a usable folder only the console
/// is written to, and says so.
pub(super) fn start(folder: &Path) -> Vec<WorkerGuard> {
    let (console, console_guard) = queued(std::io::stderr(), "log-console");
    let mut guards = vec![console_guard];
    let made = std::fs::create_dir_all(folder);
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("mainstay")
        .filename_suffix("json")
        .max_log_files(KEPT_FILES)
        .build(folder);
    let (file, problem) = match made
        .map_err(|error| error.to_string())
        .and(file.map_err(|error| error.to_string()))
    {
        Ok(file) => {
            let (file, guard) = queued(file, "log-file");
            guards.push(guard);
            (Some(file), None)
        }
        Err(error) => (None, Some(error)),
    };
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let people = fmt::layer()
        .with_target(false)
        .with_ansi(colours)
        .with_writer(console)
        .with_filter(filter());
    let machines = file.map(|file| {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(file)
            .with_filter(filter())
    });
    // An embedding program or a test may have set a subscriber already; then its log is used.
    let _ = tracing_subscriber::registry().with(people).with(machines).try_init();
    if let Some(error) = problem {
        tracing::error!(%error, folder = %folder.display(), "no log file: only the console is written to");
    }
    guards
}
