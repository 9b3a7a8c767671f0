//! `pitlane sandbox cp`: files between this machine and sandboxes, and between sandboxes.
//!
//! Everything a sandbox says is taken for an attack: a name is one component of a path or is refused, what is written
//! here is written below the folder that was named and through no link in it, lists and depths have ends. Files have
//! their old contents until all of the new ones are there.

mod folder;
mod place;
mod remote;
mod report;
mod target;
mod walk;

use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use pitlane_client::{Client, Download, Files};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use self::folder::Folder;
use self::place::Place;
use self::remote::Remote;
use self::report::Report;
use self::target::Target;
use crate::commands::completion::places;
use crate::commands::execution::Interruption;
use crate::commands::wait;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output::{self, Format};

/// How much is read at once.
const PIECE: usize = 256 << 10;

#[derive(Debug, clap::Args)]
#[command(override_usage = "pitlane sandbox cp [OPTIONS] <SOURCE>... <DESTINATION>")]
pub(crate) struct Arguments {
    /// What to copy, then where to: PATH here, SANDBOX:PATH in a sandbox, - for standard input or output.
    /// Folders are copied with what is in them
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "DESTINATION"], add = places())]
    places: Vec<String>,
    /// Copy what symbolic links in folders point to; without this they are left out and named
    #[arg(long, short = 'L')]
    follow_links: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,
    /// Taken for habit's sake: folders are always copied with what is in them
    #[arg(long, short, hide = true)]
    recursive: bool,
}

/// Copies; goes on after a file that cannot be copied, and fails in the end.
pub(super) fn copy(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let mut places: Vec<Place> = arguments.places.iter().map(|text| Place::parse(text)).collect();
    let usage = |message: &'static str| Failure::new(message).exit(Exit::Usage);
    let destination = places.pop().ok_or_else(|| usage("a destination is missing"))?;
    check(&places, &destination)?;
    let report = Report::new(format, arguments.quiet);
    let worked = wait(async {
        let mut interruption = Interruption::watch()?;
        let work = work(client, &places, &destination, arguments.follow_links, &report);
        tokio::select! {
            worked = work => worked,
            failure = interruption.wait() => Err(failure),
        }
    });
    report.finish(worked)
}

/// Refuses what makes no sense, before anything is done.
fn check(sources: &[Place], destination: &Place) -> Result<(), Failure> {
    let usage = |message: &'static str| Failure::new(message).exit(Exit::Usage);
    let is_here = |place: &Place| !matches!(place, Place::Sandbox { .. });
    if is_here(destination) && sources.iter().any(is_here) {
        return Err(usage("neither the source nor the destination is in a sandbox")
            .hint("a place in a sandbox is SANDBOX:PATH, such as build:/tmp/out"));
    }
    let has_standard = |places: &[Place]| places.contains(&Place::Standard);
    if sources.len() > 1 && (has_standard(sources) || *destination == Place::Standard) {
        return Err(usage("only one file goes through standard input or output"));
    }
    Ok(())
}

async fn work(
    client: &Client,
    sources: &[Place],
    destination: &Place,
    follow_links: bool,
    report: &Report,
) -> Result<(), Failure> {
    let mut sandboxes = Sandboxes { client, known: Vec::new() };
    if *destination == Place::Standard {
        return match sources {
            [Place::Sandbox { sandbox, path }] => {
                let remote = sandboxes.remote(sandbox).await?;
                to_standard_output(&remote.files, path, report).await
            }
            _ => Err(Failure::new("only a file goes to standard output").exit(Exit::Usage)),
        };
    }
    let target = match destination {
        Place::Sandbox { sandbox, path } => {
            Target::in_sandbox(sandboxes.remote(sandbox).await?, path, sources.len()).await?
        }
        Place::Local(path) => Target::here(path, sources.len())?,
        Place::Standard => return Ok(()),
    };
    for source in sources {
        match source {
            Place::Standard => from_standard_input(&target, report).await?,
            Place::Local(path) => {
                walk::copy(walk::Source::here(path), &target, follow_links, report).await?;
            }
            Place::Sandbox { sandbox, path } => {
                let source = walk::Source::in_sandbox(sandboxes.remote(sandbox).await?, path);
                walk::copy(source, &target, follow_links, report).await?;
            }
        }
    }
    Ok(())
}

/// Sandboxes that were asked for, each once.
struct Sandboxes<'a> {
    client: &'a Client,
    known: Vec<Remote<'a>>,
}

impl<'a> Sandboxes<'a> {
    async fn remote(&mut self, sandbox: &str) -> Result<Remote<'a>, Failure> {
        if let Some(known) = self.known.iter().find(|known| known.sandbox == sandbox) {
            return Ok(known.clone());
        }
        let found = crate::commands::sandbox::find(self.client, sandbox).await?;
        let files = self.client.files(&found)?;
        let remote = Remote { files, sandbox: sandbox.to_owned(), id: found.core.id };
        self.known.push(remote.clone());
        Ok(remote)
    }
}

async fn to_standard_output(files: &Files<'_>, path: &str, report: &Report) -> Result<(), Failure> {
    let info = files.info(path).await?;
    if info.is_dir {
        return Err(Failure::new(format!(
            "{path} is a folder, and only a file goes to standard output"
        ))
        .hint("`pitlane sandbox exec SANDBOX -- tar c PATH` writes a folder as an archive"));
    }
    let mut download = files.read(path).await?;
    report.expect(download.length());
    while let Some(bytes) = download.next().await? {
        report.bytes(bytes.len());
        tokio::task::spawn_blocking(move || output::write(&bytes)).await??;
    }
    report.file();
    Ok(())
}

async fn from_standard_input(target: &Target<'_>, report: &Report) -> Result<(), Failure> {
    let Target::Sandbox { remote, path, is_folder: false } = target else {
        return Err(Failure::new("what comes from standard input needs the name of a file")
            .hint("such as `pitlane sandbox cp - SANDBOX:/tmp/file`")
            .exit(Exit::Usage));
    };
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let contents = pieces(tokio::fs::File::from_std(input.into()), report);
    remote
        .files
        .write(path, contents)
        .await
        .doing(format!("cannot write {}", remote.shown(path)))?;
    report.file();
    Ok(())
}

/// What can be read, piece by piece, counted.
fn pieces(
    from: impl AsyncRead + Send + 'static,
    report: &Report,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let counted = report.counter();
    ReaderStream::with_capacity(from, PIECE).inspect_ok(move |bytes| counted.add(bytes.len()))
}

/// A file of another sandbox, piece by piece, counted.
fn pieces_of(
    download: Download,
    report: &Report,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let counted = report.counter();
    stream::try_unfold(download, |mut download| async move {
        let piece = download.next().await.map_err(std::io::Error::other)?;
        Ok(piece.map(|piece| (piece, download)))
    })
    .inspect_ok(move |bytes: &Bytes| counted.add(bytes.len()))
    .boxed()
}

/// Writes a file of a sandbox below a folder here.
async fn write_here(
    mut download: Download,
    folder: Arc<Folder>,
    name: &std::ffi::OsStr,
    facts: walk::Facts,
    report: &Report,
) -> Result<(), Failure> {
    let shown = folder.shown(Path::new(name));
    let mut file =
        Folder::create(&folder, name, facts.mode).doing(format!("cannot write {shown}"))?;
    while let Some(bytes) = download.next().await? {
        report.bytes(bytes.len());
        let written = tokio::task::spawn_blocking(move || file.write(&bytes).map(|()| file));
        file = written.await?.doing(format!("cannot write {shown}"))?;
    }
    file.finish(facts.changed).doing(format!("cannot write {shown}"))
}
