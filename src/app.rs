//! The composition root (floor 7): builds everything, wires observers, serves, and shuts down in order.
//!
//! What must stay true: nothing listens before both files are open; one instance owns a data folder; at the end
//! admission stops first, then the writers drain, then the spool is flushed, then the files close, all within the
//! grace period, and a second signal ends it at once. Called by `cli`.

mod announce;
mod background;
mod databases;
mod file_limit;
mod instance;
mod logging;
mod observer;
mod offline;
mod shutdown;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rocket::{Build, Rocket};

use crate::access::{FailedAttempts, SourceFile, SourceStore, TokenFile, TokenStore, refuse_open_listen};
use crate::alerts::Alerts;
use crate::api::{self, Draining};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Loaded, SILENCE, Settings};
use crate::events::remove::Purges;
use crate::events::retention::{Bounds, Retention};
use crate::events::tail::Tails;
use crate::events::{self, Capture, EventLog, Spool};
use crate::http::{Connections, Databases, Door, Skin, SourceDoor, catchers, let_go_of_silent, methods_table, panics};
use crate::monitoring::{Evidence, Monitor, Requests};

pub use databases::check_databases;
pub use instance::{InstanceError, Running, running_instance};
pub use offline::OfflineLog;

/// Why the service didn't start or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another instance, or the data folder can't be used.
    #[error(transparent)]
    Instance(#[from] instance::InstanceError),
    /// A database can't be opened.
    #[error(transparent)]
    Open(#[from] crate::db::OpenError),
    /// The token file can't be read.
    #[error(transparent)]
    Tokens(#[from] crate::access::TokenFileError),
    /// Listening there without a token.
    #[error("{0}")]
    WouldBeOpen(String),
    /// The spool's folder can't be used.
    #[error("{path}: {source}")]
    Spool {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Rocket couldn't start: the address is taken, say.
    #[error("{0}")]
    Rocket(String),
}

/// Everything that lives as long as the service.
struct Parts {
    /// Keeps other instances away from the data folder.
    instance: instance::Instance,
    /// Both databases.
    databases: Arc<Databases>,
    /// The event log.
    log: EventLog,
    /// Removals of events on purpose.
    purges: Purges,
    /// Readers of the live tail.
    tails: Tails,
    /// The way in for our own errors.
    capture: Capture,
    /// Time.
    clock: SharedClock,
    /// Numbers of requests.
    requests: Arc<Requests>,
    /// What health and statistics are made from.
    monitor: Arc<Monitor>,
    /// The active alerts.
    alerts: Arc<Alerts>,
    /// The tokens.
    tokens: TokenStore,
    /// The sources of events.
    sources: SourceStore,
    /// Whether the service is shutting down.
    draining: Draining,
}

/// Serves until told to end.
pub fn serve(loaded: Loaded) -> ExitCode {
    instance::keep_files_private();
    let data_dir = loaded.settings.storage.data_dir.clone();
    let instance = match instance::Instance::claim(&data_dir) {
        Ok(instance) => instance,
        Err(error) => return refused(&error),
    };
    let logs = logging::start(&data_dir.join("logs"));
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let ended = rocket::execute(run(loaded, instance, logs.outputs()));
    if let Err(error) = &ended {
        tracing::error!(%error, "the service could not be started or ended badly");
    }
    drop(logs);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(&error),
    }
}

fn refused(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("mainstay: {error}");
    ExitCode::FAILURE
}

async fn run(loaded: Loaded, instance: instance::Instance, outputs: logging::Outputs) -> Result<(), StartError> {
    file_limit::survive();
    file_limit::open_many();
    let parts = build(&loaded, instance).await?;
    let (databases, log) = (Arc::clone(&parts.databases), parts.log.clone());
    let (draining, requests) = (parts.draining.clone(), Arc::clone(&parts.requests));
    let tasks = background::start(
        [&databases.app, &databases.events],
        &parts.monitor,
        &parts.alerts,
        &parts.capture,
    );
    let address = loaded.listen_address();
    let rocket = assemble(&loaded, parts)
        .ignite()
        .await
        .map_err(|error| StartError::Rocket(words(&error, address)))?;
    shutdown::watch_signals(rocket.shutdown(), draining, databases.app.clone(), outputs);
    let end = rocket.shutdown();
    let served = rocket::tokio::select! {
        served = rocket.launch() => served.map(drop).map_err(|error| StartError::Rocket(words(&error, address))),
        // Rocket would wait for idle connections too; nobody waits for an answer on those.
        () = shutdown::answered(end, &requests) => Ok(()),
    };
    drop(tasks);
    shutdown::close(&databases, &log).await;
    served
}

/// Rocket's error in one line; it panics when it is dropped unseen, so it is looked at here.
fn words(error: &rocket::Error, address: std::net::SocketAddr) -> String {
    match error.kind() {
        rocket::error::ErrorKind::Bind(error) => cannot_listen(address, error),
        kind => kind.to_string(),
    }
}

fn cannot_listen(address: std::net::SocketAddr, error: &dyn std::fmt::Display) -> String {
    format!("cannot listen on {address}: {error}; choose another ROCKET_ADDRESS or ROCKET_PORT, or free it")
}

async fn build(loaded: &Loaded, instance: instance::Instance) -> Result<Parts, StartError> {
    let settings = &loaded.settings;
    let data_dir = &settings.storage.data_dir;
    let clock: SharedClock = SystemClock::shared();
    let (tokens, refusal) = {
        let tokens = TokenStore::open(TokenFile::in_folder(data_dir), Arc::clone(&clock))?;
        let refusal = refuse_open_listen(loaded.address, !tokens.is_empty());
        (tokens, refusal)
    };
    let sources = SourceStore::open(SourceFile::in_folder(data_dir), Arc::clone(&clock))?;
    if let Some(refusal) = refusal {
        return Err(StartError::WouldBeOpen(refusal));
    }
    // Before the files are touched: Rocket itself binds only after they were opened and migrated.
    let address = loaded.listen_address();
    drop(std::net::TcpListener::bind(address).map_err(|error| StartError::Rocket(cannot_listen(address, &error)))?);
    // The way in for our own errors exists before what it reports on.
    let (capture, captures) = events::channel(Arc::clone(&clock));
    panics::install(capture.clone());
    let evidence = Arc::new(Evidence::default());
    let observer = Arc::new(observer::Recorder::new(capture.clone(), Arc::clone(&evidence)));
    let databases = Arc::new(databases::open(settings, &clock, observer).await?);
    let is_gap = databases.events.status().missing_commits.is_some();
    let spool = open_spool(settings, &data_dir.join("spool"), is_gap).await?;
    if is_gap {
        databases::after_gap(&databases.events, spool.status().events).await;
    }
    let lost = spool.status().lost_before_start;
    if lost > 0 {
        capture.capture(events::NewEvent::lost_from_spool(lost));
    }
    let operation = &settings.database.operation;
    let log = EventLog::start_limited(databases.events.clone(), spool, captures, operation, &settings.ingest);
    let retention = Retention::new(
        databases.events.clone(),
        log.clone(),
        Bounds::from(&settings.retention),
        capture.clone(),
        Arc::clone(&clock),
    );
    let tails = Tails::new(databases.events.clone(), log.clone(), &settings.tail);
    let purges = Purges::start(databases.events.clone(), log.clone());
    let requests = Arc::new(Requests::starting_at(clock.now()));
    let monitor = Monitor::new(
        (databases.app.clone(), databases.events.clone()),
        (log.clone(), retention, tails.clone()),
        Arc::clone(&requests),
        data_dir.clone(),
        Arc::clone(&clock),
        evidence,
    );
    Ok(Parts {
        instance,
        databases,
        log,
        purges,
        tails,
        capture,
        clock,
        requests,
        monitor: Arc::new(monitor),
        alerts: Arc::default(),
        tokens,
        sources,
        draining: Draining::default(),
    })
}

/// Opens the spool; where commits of events.db are missing, what was replayed of late is replayed again.
async fn open_spool(settings: &Settings, folder: &Path, is_gap: bool) -> Result<Spool, StartError> {
    let (path, most) = (folder.to_owned(), settings.storage.spool_max_bytes);
    let open = if is_gap { Spool::open_after_gap } else { Spool::open };
    let opened = rocket::tokio::task::spawn_blocking(move || open(&path, most)).await;
    let failed = |source| StartError::Spool {
        path: folder.display().to_string(),
        source,
    };
    opened
        .map_err(|panic| failed(std::io::Error::other(panic)))?
        .map_err(failed)
}

fn assemble(loaded: &Loaded, parts: Parts) -> Rocket<Build> {
    let settings = &loaded.settings;
    let clock = Arc::clone(&parts.clock);
    let door = Door {
        tokens: parts.tokens,
        attempts: FailedAttempts::new(),
        listens_on_loopback: loaded.address.is_loopback(),
        capture: parts.capture.clone(),
        clock: Arc::clone(&clock),
    };
    let sources = SourceDoor {
        sources: parts.sources,
        attempts: FailedAttempts::new(),
        clock: Arc::clone(&clock),
    };
    let connections = Arc::<Connections>::default();
    let skin = Skin {
        connections: Arc::clone(&connections),
        requests: parts.requests,
        evidence: Arc::clone(&parts.monitor.evidence),
        capture: parts.capture,
        slow_request: settings.http.slow_request,
        clock: Arc::clone(&clock),
    };
    rocket::custom(loaded.figment.clone())
        .manage(clock)
        .manage(parts.databases)
        .manage(parts.log)
        .manage(parts.purges)
        .manage(parts.tails)
        .manage(door)
        .manage(sources)
        .manage(parts.monitor)
        .manage(parts.alerts)
        .manage(parts.draining)
        .manage(api::dashboard::Assets::new(&settings.http))
        .manage(parts.instance)
        .attach(rocket::shield::Shield::new())
        .attach(skin)
        .attach(methods_table())
        .attach(let_go_of_silent(connections, SILENCE))
        .attach(announce::announce())
        .register("/", catchers::all())
        .mount("/", api::routes())
}
