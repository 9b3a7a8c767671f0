//! Files of a sandbox: read in windows, written byte for byte, and copied from and to folders of this machine that were
//! allowed by name.

use bytes::Bytes;
use futures_util::stream;
use pitlane_client::{FileInfo, Files, RequestError};
use pitlane_wire::control::Sandbox;
use tokio::io::AsyncWriteExt as _;

use crate::capture::count;
use crate::failure::Failure;
use crate::folders;
use crate::input::{FileAction, FileOperation};
use crate::output::FileDone;
use crate::shape::value;
use crate::tools::Context;
use crate::visible::line;
use crate::{Answer, Missing, ResourceLink, sandbox};

/// The largest file that is copied to a folder of this machine: what a sandbox gives has no end of its own.
const MOST_DOWNLOADED: u64 = 2 << 30;

/// What an operation came to, beside what was asked.
#[derive(Default)]
struct Done {
    message: String,
    content: Option<String>,
    files: Option<Vec<String>>,
    next_offset: Option<u64>,
    /// What the model is told beside the message.
    told: String,
    links: Vec<ResourceLink>,
}

/// A piece of a file.
pub(crate) struct Window {
    pub(crate) bytes: Vec<u8>,
    /// How long the file is, if known.
    pub(crate) total: Option<u64>,
    /// Whether there is more behind it.
    pub(crate) is_cut: bool,
}

pub(crate) async fn operate(context: Context<'_>, asked: FileOperation) -> Result<Answer, Failure> {
    if let FileAction::Other(operation) = &asked.operation {
        let message = format!("Unsupported file operation: {operation}");
        let known = FileAction::WORDS.join(", ");
        return Err(Failure::whole(message).next(format!("Use one of {known}.")));
    }
    demand(&asked)?;
    let found = sandbox::find_running(context, &asked.sandbox_id).await?;
    let files = context.client.files(&found)?;
    let path = asked.file_path.as_str();
    let done = match &asked.operation {
        FileAction::Read => read(context, &found, &files, path, asked.offset.unwrap_or(0)).await?,
        FileAction::Write => {
            let content = asked.content.clone().unwrap_or_default();
            let length = content.len();
            put(context, &found, path, content).await.map_err(|failure| at(path, failure))?;
            let message = format!("Successfully wrote to file {path}");
            Done { told: format!(" ({length} bytes)"), message, ..Done::default() }
        }
        FileAction::Create => create(context, &found, &files, &asked).await?,
        FileAction::List => list(context, &files, path, asked.offset.unwrap_or(0)).await?,
        FileAction::Delete => {
            let info = files.info(path).await.map_err(|error| of(path, error))?;
            files.remove(path, info.is_dir).await.map_err(|error| of(path, error))?;
            Done { message: format!("Successfully deleted {path}"), ..Done::default() }
        }
        FileAction::Upload => upload(context, &found, &asked).await?,
        FileAction::Download => download(context, &files, &asked).await?,
        FileAction::Other(_) => Done::default(),
    };
    let text = format!("{}{}", done.message, done.told);
    let structured = value(&FileDone {
        sandbox_id: found.core.id.clone(),
        operation: asked.operation.to_string(),
        file_path: asked.file_path,
        success: true,
        content: done.content,
        files: done.files,
        next_offset: done.next_offset,
        message: done.message,
    });
    Ok(Answer { links: done.links, ..Answer::new(structured, text) })
}

/// Says what some of the operations need besides what all of them need.
fn demand(asked: &FileOperation) -> Result<(), Failure> {
    let (is_given, parameter) = match asked.operation {
        FileAction::Write => (asked.content.is_some(), "content"),
        FileAction::Upload | FileAction::Download => (asked.local_path.is_some(), "local_path"),
        _ => return Ok(()),
    };
    if is_given {
        return Ok(());
    }
    let what = if parameter == "content" { "Content" } else { "Local path" };
    let message = format!("{what} is required for {} operation", asked.operation);
    Err(Failure::needs(message, Missing::of("file_operation", parameter)))
}

/// Tells of which path something failed, and what to do about it.
fn of(path: &str, error: RequestError) -> Failure {
    let is_missing = error.status() == Some(404);
    let failure = at(path, error.into());
    if is_missing && failure.next.is_none() {
        return failure.next("List the folder above it to see what there is.");
    }
    failure
}

fn at(path: &str, failure: Failure) -> Failure {
    if failure.message.contains(path) {
        return failure;
    }
    Failure { message: format!("{path}: {}", failure.message), ..failure }
}

/// Writes a whole file.
pub(crate) async fn put(
    context: Context<'_>,
    found: &Sandbox,
    path: &str,
    content: impl Into<Bytes>,
) -> Result<(), Failure> {
    let content = content.into();
    let contents = stream::once(async move { Ok(content) });
    Ok(context.client.files(found)?.upload(path, contents).await?)
}

/// Reads a piece of a file. What comes before it passes by, since not every server can leave it out.
pub(crate) async fn window(
    files: &Files<'_>,
    path: &str,
    offset: u64,
    limit: usize,
) -> Result<Window, RequestError> {
    let mut download = files.read(path).await?;
    let total = download.length();
    let mut bytes = Vec::new();
    let mut before = offset;
    while let Some(piece) = download.next().await? {
        let skipped = usize::try_from(before).unwrap_or(usize::MAX).min(piece.len());
        before = before.saturating_sub(count(skipped));
        bytes.extend_from_slice(piece.get(skipped..).unwrap_or_default());
        if bytes.len() > limit {
            bytes.truncate(limit);
            return Ok(Window { bytes, total, is_cut: true });
        }
    }
    Ok(Window { bytes, total, is_cut: false })
}

async fn read(
    context: Context<'_>,
    found: &Sandbox,
    files: &Files<'_>,
    path: &str,
    offset: u64,
) -> Result<Done, Failure> {
    let limit = context.settings.output.file_bytes;
    let mut read = window(files, path, offset, limit).await.map_err(|error| of(path, error))?;
    if read.is_cut {
        // Not in the middle of a character.
        let end = whole_characters(&read.bytes);
        read.bytes.truncate(end);
    }
    let link = ResourceLink {
        uri: format!("sandbox://{}/files/{}", found.core.id, crate::resource::escaped(path)),
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        description: format!("The file {path}"),
        media_type: None,
    };
    let length = count(read.bytes.len());
    let Ok(content) = String::from_utf8(read.bytes) else {
        let size = read.total.map(|total| format!(" of {total} bytes")).unwrap_or_default();
        return Err(Failure::new(format!("{path} is no text but a file{size} of other data"))
            .next(format!(
                "Read the resource {}, look at it with execute_shell, or use operation download.",
                link.uri
            )));
    };
    let message = format!("Successfully read file {path}");
    let end = offset.saturating_add(length);
    let mut done = Done { message, ..Done::default() };
    if read.is_cut {
        let total = read.total.map(|total| format!(" of {total}")).unwrap_or_default();
        done.told = format!(" [bytes {offset} to {end}{total}; read on with offset {end}]");
        done.next_offset = Some(end);
        done.links.push(link);
    } else if offset > 0 {
        done.told = format!(" [bytes {offset} to {end}, the end]");
    }
    done.told.push('\n');
    done.told.push_str(&content);
    done.content = Some(content);
    Ok(done)
}

/// Where the last whole character ends, if what precedes it is text.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    }
}

async fn create(
    context: Context<'_>,
    found: &Sandbox,
    files: &Files<'_>,
    asked: &FileOperation,
) -> Result<Done, Failure> {
    let path = asked.file_path.as_str();
    let message = format!("Successfully created {path}");
    if path.ends_with('/') && asked.content.is_none() {
        files.make_folder(path, 0o755).await.map_err(|error| of(path, error))?;
        return Ok(Done { message, ..Done::default() });
    }
    match files.info(path).await {
        Ok(_) => {
            return Err(Failure::new(format!("{path} already exists"))
                .next("Use operation write to give it other contents."));
        }
        Err(RequestError::Refused { status: 404, .. }) => {}
        Err(other) => return Err(of(path, other)),
    }
    let content = asked.content.clone().unwrap_or_default();
    put(context, found, path, content).await.map_err(|failure| at(path, failure))?;
    Ok(Done { message, ..Done::default() })
}

async fn list(
    context: Context<'_>,
    files: &Files<'_>,
    path: &str,
    offset: u64,
) -> Result<Done, Failure> {
    let limit = context.settings.output.entries;
    let mut listing = files.list(path).await.map_err(|error| of(path, error))?;
    let mut entries: Vec<FileInfo> = Vec::new();
    let (mut before, mut is_cut) = (offset, false);
    while let Some(entry) = listing.next().await? {
        if before > 0 {
            before = before.saturating_sub(1);
        } else if entries.len() < limit {
            entries.push(entry);
        } else {
            is_cut = true;
            break;
        }
    }
    let next = offset.saturating_add(count(entries.len()));
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut done =
        Done { message: format!("Successfully listed directory {path}"), ..Done::default() };
    if is_cut {
        done.told = format!(" [{} entries; go on with offset {next}]", entries.len());
        done.next_offset = Some(next);
    } else if entries.is_empty() {
        done.told = String::from(" (nothing)");
    }
    for entry in &entries {
        let told = match entry.is_dir {
            true => format!("\n{}/", line(&entry.name)),
            false => format!("\n{} ({} bytes)", line(&entry.name), entry.size),
        };
        done.told.push_str(&told);
    }
    let name = |entry: FileInfo| if entry.is_dir { entry.name + "/" } else { entry.name };
    done.files = Some(entries.into_iter().map(name).collect());
    Ok(done)
}

async fn upload(
    context: Context<'_>,
    found: &Sandbox,
    asked: &FileOperation,
) -> Result<Done, Failure> {
    let local = asked.local_path.clone().unwrap_or_default();
    let (file, length) = folders::open(context.settings.folders.clone(), local.clone()).await?;
    let pieces = tokio_util::io::ReaderStream::with_capacity(file, 64 << 10);
    let path = asked.file_path.as_str();
    context.report(&format!("uploading {length} bytes"));
    let sent = context.client.files(found)?.upload(path, pieces).await;
    sent.map_err(|error| at(path, error.into()))?;
    let message = format!("Successfully uploaded {local} to {path}");
    Ok(Done { message, told: format!(" ({length} bytes)"), ..Done::default() })
}

async fn download(
    context: Context<'_>,
    files: &Files<'_>,
    asked: &FileOperation,
) -> Result<Done, Failure> {
    let local = asked.local_path.clone().unwrap_or_default();
    let path = asked.file_path.as_str();
    let begun = folders::begin(context.settings.folders.clone(), local.clone()).await;
    let (mut file, target) = begun?;
    let mut download = files.read(path).await.map_err(|error| of(path, error))?;
    if download.length().is_some_and(|length| length > MOST_DOWNLOADED) {
        return Err(too_large(path));
    }
    let (mut length, mut told) = (0_u64, 0_u64);
    let broken = |error: std::io::Error| Failure::new(format!("{local}: {error}"));
    while let Some(piece) = download.next().await? {
        file.write_all(&piece).await.map_err(broken)?;
        length = length.saturating_add(count(piece.len()));
        // Whoever sends need not keep to the length that was told.
        if length > MOST_DOWNLOADED {
            return Err(too_large(path));
        }
        if length.saturating_sub(told) > 16 << 20 {
            told = length;
            context.report(&format!("{length} bytes"));
        }
    }
    file.flush().await.map_err(broken)?;
    drop(file);
    target.finish().await?;
    let message = format!("Successfully downloaded {path} to {local}");
    Ok(Done { message, told: format!(" ({length} bytes)"), ..Done::default() })
}

fn too_large(path: &str) -> Failure {
    Failure::new(format!("{path} has more than {MOST_DOWNLOADED} bytes"))
        .next("Compress it in the sandbox, or take a part of it.")
}
