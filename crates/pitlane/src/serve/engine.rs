//! The engine, started as the settings say; and its launcher.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use pitlane_engine::{Engine, EngineConfig, LaunchCommand, LauncherArguments, run_launcher};
use pitlane_network::{RouterConfig, RouterName, Uplink};

use super::state_folder::{StateFolder, run_folder};
use super::{daemon, flag, object_volumes};
use crate::commands::image;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output::say;
use crate::settings::{Settings, UplinkSetting};

/// The hidden command that this binary is started with to be the launcher.
pub(crate) const LAUNCH: &str = "launch";

/// The flag that tells a launcher its run-time folder.
const RUN: &str = "--run";

/// Is the launcher. Must be called before the process has threads.
pub(crate) fn launch(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    if let Some(run) = flag(arguments, RUN) {
        return run_launcher(&LauncherArguments { run: PathBuf::from(run) });
    }
    say("error: pitlane launch is started by pitlane serve");
    Exit::Usage.into()
}

/// Checks that this process may make sandboxes at all.
pub(super) fn check_rights() -> Result<(), Failure> {
    // The owner of this process' own entry is its effective user.
    let user = std::fs::metadata("/proc/self").doing("cannot see this process in /proc")?.uid();
    if user != 0 {
        return Err(Failure::new(
            "only root can make sandboxes: it takes mounts, control groups and namespaces",
        )
        .hint("run it with sudo"));
    }
    Ok(())
}

/// Starts the engine.
pub(super) async fn start(settings: &Settings, folder: &StateFolder) -> Result<Engine, Failure> {
    let run = run_folder(settings);
    let config = EngineConfig {
        state: folder.path().to_owned(),
        launcher: LaunchCommand {
            program: std::env::current_exe().doing("cannot find this program's own file")?,
            arguments: vec![LAUNCH.into(), RUN.into(), run.clone().into()],
        },
        run,
        state_id: folder.id().to_owned(),
        daemon: daemon::load(settings.daemon.as_deref())?,
        images: image::images(settings)?,
        network: network(settings, folder)?,
        first_id: settings.first_id,
        pool_memory_mib: settings.pool_memory_mib,
        volume_gib: settings.volume_gib,
        object_volumes: object_volumes::of(settings)?,
        disk_overcommit: settings.disk_overcommit,
    };
    Engine::start(config).await.map_err(|cause| {
        Failure::from(anyhow::Error::new(cause))
            .hint("`pitlane doctor` tells what this machine can and cannot do")
    })
}

fn network(settings: &Settings, folder: &StateFolder) -> Result<RouterConfig, Failure> {
    let uplink = match &settings.uplink {
        UplinkSetting::None => Uplink::None,
        UplinkSetting::Host => Uplink::Host,
        UplinkSetting::Namespace(path) => {
            let namespace = File::open(path)
                .doing(format!("cannot open the network namespace {}", path.display()))?;
            Uplink::Namespace(namespace.into())
        }
    };
    Ok(RouterConfig {
        name: RouterName::parse(folder.id())?,
        subnet: settings.subnet,
        allow_private: settings.allow_private.clone(),
        uplink,
        upstreams: settings.resolvers.clone(),
    })
}
