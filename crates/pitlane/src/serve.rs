//! `pitlane serve`: where the parts are put together.
//!
//!     settings ─► state folder ─► store ──┐
//!                      └──► engine ───────┴─► control ─► api
//!
//! Nothing below knows settings, the environment or the terminal: everything arrives as values.

mod announcement;
mod daemon;
mod engine;
mod fake;
pub(crate) mod logging;
mod object_volumes;
mod preparation;
mod probes;
mod state_folder;
mod storage;
mod workshop;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use pitlane_api::{ApiSettings, Door, Metrics};
use pitlane_control::{Clock, Control, Parts, Patience, Policy, Random, ServerSecret};
use pitlane_driver::{Driver, Liveness};
use pitlane_store::Store;
use rustix::process::{Resource, Rlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::announcement::Addresses;
pub(crate) use self::daemon::{has_daemon, load as load_daemon};
pub(crate) use self::engine::{LAUNCH, launch};
pub(crate) use self::logging::RECENT_TROUBLE_FILE;
use self::state_folder::StateFolder;
pub(crate) use self::state_folder::{ADDRESS_FILE, DATABASE_FILE, KEY_FILE, run_folder};
use self::workshop::Workshop;
use crate::cli::SettingArguments;
use crate::failure::{Doing as _, Failure};
use crate::output::Format;
use crate::settings::Settings;
use crate::tool_server;

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long changes under way may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ended by SIGTERM or Ctrl-C, the server leaves sandboxes running; the next start takes them over."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingArguments,
    /// Stop the sandboxes when the server ends; their disks are kept
    #[arg(long)]
    stop_sandboxes: bool,
    /// What makes sandboxes
    #[arg(long, hide = true, default_value = "engine")]
    driver: DriverName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DriverName {
    /// Real sandboxes.
    Engine,
    /// Nothing at all, quickly: for tests and for measuring everything else.
    Fake,
}

/// What makes sandboxes, and how to let go of it.
#[derive(Debug)]
enum Maker {
    Engine(Arc<pitlane_engine::Engine>),
    Fake(Arc<dyn Driver>),
}

impl Maker {
    fn driver(&self) -> Arc<dyn Driver> {
        match self {
            Self::Engine(engine) => Arc::<pitlane_engine::Engine>::clone(engine),
            Self::Fake(driver) => Arc::clone(driver),
        }
    }

    async fn close(&self) {
        match self {
            Self::Engine(engine) => engine.close().await,
            Self::Fake(_) => {}
        }
    }
}

/// Serves until told to stop.
pub(crate) fn serve(arguments: &Arguments, format: Format) -> Result<ExitCode, Failure> {
    let settings = Settings::read(&arguments.settings.0)?;
    logging::start(&settings)?;
    allow_open_files();
    if arguments.driver == DriverName::Engine {
        engine::check_rights()?;
    }
    let folder = StateFolder::claim(&settings.state)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(Box::pin(run(arguments, &settings, &folder, format)))?;
    Ok(ExitCode::SUCCESS)
}

/// Raises what login shells and systemd give programs, 1,024 open files, to what they allow: hundreds of sandboxes and
/// connections need more. The launcher inherits it; sandboxes get limits of their own.
fn allow_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(cause) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%cause, ?limit, "cannot raise the limit of open files");
    }
}

async fn run(
    arguments: &Arguments,
    settings: &Settings,
    folder: &StateFolder,
    format: Format,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_signals(stop.clone())?);

    let metrics = match settings.metrics {
        Some(address) => {
            let metrics = Metrics::install(VERSION)?;
            pitlane_mcp::describe_metrics();
            Some((metrics, listen(address, "--metrics").await?))
        }
        None => None,
    };
    let listener = listen(settings.listen, "--listen").await?;
    let addresses = Addresses {
        api: listener.local_addr()?,
        metrics: metrics.as_ref().map(|(_, listener)| listener.local_addr()).transpose()?,
    };
    let door = Door::open(listener, "api", settings.max_connections, stop.clone());
    let store = Store::open(&folder.path().join(DATABASE_FILE))?;
    let maker = match arguments.driver {
        DriverName::Engine => Maker::Engine(Arc::new(engine::start(settings, folder).await?)),
        DriverName::Fake => Maker::Fake(fake::driver()),
    };
    let clock = Clock::system();
    let contexts = storage::open(settings, folder, &clock)?;
    let workshop = Arc::new(Workshop::new(maker.driver(), contexts.clone(), settings));
    let control = Control::start(Parts {
        store,
        driver: maker.driver(),
        builder: Arc::<Workshop>::clone(&workshop),
        build_logs: folder.path().join("build-logs"),
        clock,
        random: Random::system(),
        secret: ServerSecret::new(folder.secret()?),
        policy: Policy {
            maximum: settings.maximum,
            prepared: settings.prepared,
            target: settings.target.clone(),
            builds: settings.builds.limits.concurrent,
            // The builder gives up by itself, and says so better.
            patience: Patience {
                build: settings.builds.limits.deadline + GRACE,
                ..settings.patience
            },
            ..Policy::standard()
        },
    })
    .await?;
    if let Some((metrics, listener)) = metrics {
        tasks.spawn(metrics.serve(listener, control.clone(), stop.clone()));
    }
    let first_key = control.keys().bootstrap(|key| folder.keep_key(key.expose())).await?;
    let is_prepared = preparation::prepare(&control, settings, &stop).await?;
    if is_prepared {
        let doors = (&mut tasks, &stop);
        let (storage, storage_routes) =
            storage::serve(settings, folder, (&control, contexts), doors).await?;
        let api = ApiSettings {
            version: VERSION.to_owned(),
            public_url: settings.public_url.clone(),
            storage,
            rate_limits: settings.rate_limits,
            probes: probes::of(&maker, folder.path(), settings.disk_overcommit),
        };
        let (tool_server, routes) = tool_server::beside_the_api(settings, addresses.api)?;
        tasks.spawn(tool_server.run_until(stop.clone()));
        door.admit_with(control.clone(), api, routes.merge(storage_routes));
        announcement::ready(settings, folder, addresses, first_key.as_ref(), format)?;
        door.serve().await;
    }
    tracing::info!("stopping");
    control.shut_down(GRACE).await;
    if tokio::time::timeout(GRACE, workshop.finish()).await.is_err() {
        tracing::warn!("sandboxes of builds are left to the next start");
    }
    if arguments.stop_sandboxes {
        stop_all(&maker.driver()).await?;
    }
    maker.close().await;
    Ok(())
}

pub(crate) async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.doing(format!("cannot listen on {address}")).map_err(
        |failure| {
            failure.hint(format!("{flag} ADDRESS takes another address; port 0 takes a free one"))
        },
    )
}

/// A task that tells `stop` when this process is asked to end.
pub(crate) fn watch_signals(stop: CancellationToken) -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    })
}

/// Stops every running sandbox, all at once.
async fn stop_all(driver: &Arc<dyn Driver>) -> Result<(), Failure> {
    let mut stopping = JoinSet::new();
    for existing in driver.inventory().await? {
        if existing.liveness == Liveness::Running {
            let driver = Arc::clone(driver);
            stopping.spawn(async move { driver.stop(existing.id, false).await });
        }
    }
    let mut first = None;
    while let Some(stopped) = stopping.join_next().await {
        if let Err(failure) = stopped? {
            tracing::error!(%failure, "a sandbox did not stop");
            first.get_or_insert(failure);
        }
    }
    first.map_or(Ok(()), |failure| Err(failure.into()))
}

/// The arguments after a hidden command, as pairs of a flag and its value.
fn flag(mut arguments: impl Iterator<Item = OsString>, name: &str) -> Option<OsString> {
    arguments.find(|argument| argument == name)?;
    arguments.next()
}
