//! The log (floor 7): people read the console, machines the daily JSON files.
//!
//! What must stay true: logging never holds a request up: each output has a thread of its own and a bounded memory of what
//! waits for it; at most [`daily::KEPT_FILES`] days are kept, so that the log can't fill the disk for good. RUST_LOG
//! filters both.

mod daily;
mod lines;
mod queue;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use daily::Daily;
use lines::Lines;
use queue::Queue;

/// Our own lines and everybody's warnings, but not Rocket's: what it says of a request, our access line says better.
const DEFAULT_FILTER: &str = "warn,mainstay=info,rocket=off,_=off";
/// How long the end waits for an output that doesn't take what it is given.
const PATIENCE: Duration = Duration::from_secs(1);

/// The outputs; what waits is written when this is dropped.
pub(super) struct Logs(Outputs);

/// The same, for whoever ends the process in another way.
#[derive(Clone)]
pub(super) struct Outputs(Vec<Arc<Queue>>);

impl Logs {
    /// The outputs.
    pub(super) fn outputs(&self) -> Outputs {
        self.0.clone()
    }
}

impl Outputs {
    /// Writes what waits, for at most `patience` an output. Blocking.
    pub(super) fn flush(&self, patience: Duration) {
        self.0.iter().for_each(|queue| queue.flush(patience));
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.0.flush(PATIENCE);
    }
}

/// Starts logging. Without a usable folder only the console is written to, and says so.
pub(super) fn start(folder: &Path) -> Logs {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (console, no_console) = started("console", std::io::stderr());
    let (file, no_file) = match Daily::in_folder(folder) {
        Ok(daily) => started("file", daily),
        Err(problem) => (None, Some(problem)),
    };
    let outputs = Outputs(console.iter().chain(&file).map(Arc::clone).collect());
    let asked_for = EnvFilter::try_from_default_env().ok();
    let by_default = asked_for.is_none();
    let chosen = asked_for.unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    // Rocket's macros log in the name of the module they are used in, with `::_` behind it; a directive can't name that.
    let not_rocket = filter_fn(|metadata| !metadata.target().ends_with("::_"));
    let log = tracing_subscriber::registry()
        .with(Lines::to(console, file, colours))
        .with(chosen)
        .with(not_rocket);
    // An embedding program or a test may have set a subscriber already; then its log is used.
    if log.try_init().is_ok() && by_default {
        // Those who log through the `log` crate are told here already that nothing but warnings is wanted of them: Rocket
        // would ask five times a request.
        log::set_max_level(log::LevelFilter::Warn);
    }
    for problem in [no_console, no_file].into_iter().flatten() {
        tracing::error!(problem, folder = %folder.display(), "an output of the log is missing");
    }
    Logs(outputs)
}

fn started(name: &'static str, output: impl std::io::Write + Send + 'static) -> (Option<Arc<Queue>>, Option<String>) {
    match Queue::start(name, output) {
        Ok(queue) => (Some(queue), None),
        Err(error) => (None, Some(error.to_string())),
    }
}
