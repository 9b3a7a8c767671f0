//! `pitlane image build`: an image from a Dockerfile and a folder, built by a server.
//!
//! Unlike the other commands for images it talks to a server, this machine's or another one: a build runs in sandboxes,
//! and its result is a snapshot of the server's.

mod context;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pitlane_client::{Client, RequestError};
use pitlane_wire::control::{CreateBuildInfo, CreateSnapshot, Snapshot};

use super::super::execution::{Interruption, pass_on};
use super::super::wait;
use crate::cli::pair;
use crate::failure::{Doing as _, Failure};
use crate::output::{self, Format, is_terminal_aside, say};

/// How long between two looks at a snapshot whose log has ended.
const PAUSE: Duration = Duration::from_millis(200);
/// How long what was begun is cleaned up after an interruption.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder with the files that the Dockerfile copies
    #[arg(default_value = ".")]
    context: PathBuf,
    /// Name of the snapshot that comes out; one that has it is replaced [default: the folder's name]
    #[arg(long, short, value_name = "NAME")]
    tag: Option<String>,
    /// The Dockerfile [default: Dockerfile in the folder]
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Value of an ARG; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    build_arg: Vec<(String, String)>,
    /// Stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Do every step anew
    #[arg(long)]
    no_cache: bool,
    /// CPUs of its sandboxes
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<u32>,
    /// Memory of its sandboxes, in GiB
    #[arg(long, value_name = "GIB")]
    memory: Option<u32>,
    /// Disk of its sandboxes, in GiB
    #[arg(long, value_name = "GIB")]
    disk: Option<u32>,
}

/// Builds; writes the log to standard error and the snapshot's name to standard output. When interrupted it leaves
/// nothing.
pub(crate) fn build(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let file = arguments.file.clone().unwrap_or_else(|| arguments.context.join("Dockerfile"));
    let dockerfile_content =
        std::fs::read_to_string(&file).doing(format!("cannot read {}", file.display()))?;
    let name = match &arguments.tag {
        Some(name) => name.clone(),
        None => folder_name(&arguments.context)?,
    };
    let packed = context::pack(&arguments.context)?;
    let wish = CreateSnapshot {
        name,
        cpu: arguments.cpu,
        memory: arguments.memory,
        disk: arguments.disk,
        build_info: Some(CreateBuildInfo {
            dockerfile_content,
            context_hashes: Some(vec![packed.archive.sha256.clone()]),
            build_args: Some(arguments.build_arg.into_iter().collect()),
            target: arguments.target,
            no_cache: arguments.no_cache.then_some(true),
        }),
        ..CreateSnapshot::default()
    };
    let snapshot = wait(async {
        upload(client, packed).await?;
        make(client, wish).await
    })?;
    format.write(&snapshot, |snapshot| format!("{}\n", snapshot.name))?;
    Ok(ExitCode::SUCCESS)
}

/// What the snapshot is called if nobody says.
fn folder_name(folder: &Path) -> Result<String, Failure> {
    let folder =
        std::fs::canonicalize(folder).doing(format!("cannot find {}", folder.display()))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| Failure::new("the folder has no name").hint("give one: --tag NAME"))
}

async fn upload(client: &Client, packed: context::Packed) -> Result<(), Failure> {
    let bar = ProgressBar::new(packed.archive.bytes);
    if is_terminal_aside() {
        let style =
            ProgressStyle::with_template("uploading files [{bar:30}] {bytes}/{total_bytes}");
        bar.set_style(style.unwrap_or_else(|_never| ProgressStyle::default_bar()));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let archive = packed.archive.clone();
    let uploaded = client.upload_context(&archive, packed.stream(bar.clone())).await;
    bar.finish_and_clear();
    uploaded.doing("cannot upload the files")
}

/// Makes the snapshot, under another name first if there is one of that name, which stays until the new one is there.
async fn make(client: &Client, wish: CreateSnapshot) -> Result<Snapshot, Failure> {
    let first = match client.create_snapshot(&wish).await {
        Err(RequestError::Refused { status: 409, .. }) => {
            let mut unique = [0; 8];
            getrandom::fill(&mut unique).doing("cannot make a name")?;
            let name = format!("{}.{:016x}", wish.name, u64::from_ne_bytes(unique));
            let aside = CreateSnapshot { name, ..wish.clone() };
            let made = finish(client, client.create_snapshot(&aside).await?).await?;
            let replaced = replace(client, &wish).await;
            // What was built stays known, whatever it is called.
            client.delete_snapshot(&made.id).await?;
            return replaced;
        }
        first => first?,
    };
    finish(client, first).await
}

/// Gives the name to a build whose steps are all done.
async fn replace(client: &Client, wish: &CreateSnapshot) -> Result<Snapshot, Failure> {
    let old = client.snapshot(&wish.name).await?;
    client.delete_snapshot(&old.id).await?;
    let build_info = wish.build_info.clone();
    // Done anew once is enough.
    let build_info = build_info.map(|info| CreateBuildInfo { no_cache: None, ..info });
    let mut made = client.create_snapshot(&CreateSnapshot { build_info, ..wish.clone() }).await?;
    while is_under_way(&made) {
        tokio::time::sleep(PAUSE).await;
        made = client.snapshot(&made.id).await?;
    }
    settled(made)
}

/// Follows a build to its end. When interrupted, ends it.
async fn finish(client: &Client, begun: Snapshot) -> Result<Snapshot, Failure> {
    let mut interruption = Interruption::watch()?;
    let failure = tokio::select! {
        made = follow(client, begun.clone()) => match made {
            Ok(made) => match settled(made) {
                Ok(made) => return Ok(made),
                Err(failure) => failure,
            },
            Err(failure) => return Err(failure),
        },
        failure = interruption.wait() => failure,
    };
    // Neither an interrupted build nor one that failed leaves a snapshot.
    match tokio::time::timeout(PATIENCE, client.delete_snapshot(&begun.id)).await {
        Ok(Ok(())) => Err(failure),
        Ok(Err(_)) | Err(_) => {
            Err(failure.hint(format!("snapshot {} may be there, and has failed", begun.name)))
        }
    }
}

async fn follow(client: &Client, mut snapshot: Snapshot) -> Result<Snapshot, Failure> {
    if snapshot.state == "pending" {
        say("waiting for other builds");
    }
    while snapshot.state == "pending" {
        tokio::time::sleep(PAUSE).await;
        snapshot = client.snapshot(&snapshot.id).await?;
    }
    match client.snapshot_build_log(&snapshot.id).await {
        Ok(mut log) => {
            while let Some(piece) = log.next().await? {
                pass_on(piece.to_vec(), output::write_aside).await?;
            }
        }
        // Nothing had to be built.
        Err(RequestError::Refused { status: 404, .. }) => {}
        Err(failure) => return Err(failure.into()),
    }
    while is_under_way(&snapshot) {
        snapshot = client.snapshot(&snapshot.id).await?;
        if is_under_way(&snapshot) {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(snapshot)
}

fn is_under_way(snapshot: &Snapshot) -> bool {
    matches!(snapshot.state.as_str(), "pending" | "building" | "pulling")
}

fn settled(snapshot: Snapshot) -> Result<Snapshot, Failure> {
    if snapshot.state == "active" {
        return Ok(snapshot);
    }
    let reason = snapshot.error_reason.unwrap_or(snapshot.state);
    Err(Failure::new(format!("not built: {reason}")))
}
