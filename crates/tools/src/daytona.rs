//! The twelve tools of Daytona's own MCP server: its names, arguments and texts, for those who are used to them.

mod input;
mod operations;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;
use pitlane_client::{Files, RequestError};
use pitlane_wire::control::{CreateBuildInfo, CreateSandbox as Wish, Sandbox, SandboxVolume};
use pitlane_wire::toolbox::GitCloneRequest;
use serde_json::{Value, json};

pub use input::DaytonaCall;
pub(crate) use input::Tool;
use input::{
    CreateFolder, CreateSandbox, DownloadFile, ExecuteCommand, GitClone, MoveFile, PreviewLink,
    UploadFile,
};
pub(crate) use operations::operations;

use crate::failure::Failure;
use crate::tools::Context;
use crate::{Answer, execution, file, redact, repository, sandbox};

/// The largest file that is told as a text.
const MOST_BYTES: usize = 1 << 20;

/// How long a link to a preview is good, in seconds: a day, the longest there is.
const LINK_SECONDS: u32 = 86_400;

pub(crate) async fn call(context: Context<'_>, call: DaytonaCall) -> Result<Answer, Failure> {
    let limit = context.settings.timeout;
    let work = async {
        match call.0 {
            Tool::CreateSandbox(asked) => Box::pin(create(context, *asked)).await,
            Tool::DestroySandbox(asked) => {
                let found = sandbox::find(context, &asked.id).await?;
                context.client.delete_sandbox(&found.core.id).await?;
                Ok(format!("Destroyed sandbox with ID {}", asked.id))
            }
            Tool::ExecuteCommand(asked) => Box::pin(execute(context, asked)).await,
            Tool::UploadFile(asked) => Box::pin(upload(context, asked)).await,
            Tool::DownloadFile(asked) => Box::pin(download(context, asked)).await,
            Tool::CreateFolder(asked) => create_folder(context, asked).await,
            Tool::GetFileInfo(asked) => {
                let found = sandbox::find_running(context, &asked.id).await?;
                Ok(text(&context.client.files(&found)?.info(&asked.file_path).await?))
            }
            Tool::ListFiles(asked) => {
                Box::pin(list(context, &asked.id, asked.path.as_deref().unwrap_or("."))).await
            }
            Tool::MoveFile(asked) => move_file(context, asked).await,
            Tool::DeleteFile(asked) => {
                let found = sandbox::find_running(context, &asked.id).await?;
                let files = context.client.files(&found)?;
                let info = files.info(&asked.file_path).await?;
                files.remove(&asked.file_path, info.is_dir).await?;
                Ok(format!("Deleted file: {}", asked.file_path))
            }
            Tool::GitClone(asked) => Box::pin(clone(context, asked)).await,
            Tool::PreviewLink(asked) => Box::pin(preview(context, asked)).await,
        }
    };
    let done = tokio::time::timeout(limit, Box::pin(work)).await.unwrap_or_else(|_elapsed| {
        Err(Failure::new(format!("it took longer than {} s", limit.as_secs())))
    })?;
    Ok(Answer::new(Value::String(done.clone()), done))
}

fn text<T: serde::Serialize>(value: &T) -> String {
    crate::shape::value(value).to_string()
}

async fn create(context: Context<'_>, asked: CreateSandbox) -> Result<String, Failure> {
    if let Some(id) = asked.id.as_deref().filter(|id| !id.is_empty()) {
        match context.client.sandbox(id).await {
            Ok(_) => {
                let found = sandbox::find_running(context, id).await?;
                return Ok(format!("Reusing existing sandbox {}", found.core.id));
            }
            Err(RequestError::Refused { status: 404, .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let volume = |volume: input::Volume| SandboxVolume {
        volume_id: volume.volume_id,
        mount_path: volume.mount_path,
        subpath: None,
    };
    let build = |build: input::BuildInfo| CreateBuildInfo {
        dockerfile_content: build.dockerfile_content,
        context_hashes: build.context_hashes,
        ..CreateBuildInfo::default()
    };
    let wish = Wish {
        name: asked.name,
        target: asked.target,
        snapshot: asked.snapshot,
        user: asked.user,
        env: asked.env,
        labels: asked.labels,
        public: asked.public,
        cpu: asked.cpu,
        gpu: asked.gpu,
        memory: asked.memory,
        disk: asked.disk,
        auto_stop_interval: asked.auto_stop_interval,
        auto_archive_interval: asked.auto_archive_interval,
        auto_delete_interval: asked.auto_delete_interval,
        volumes: asked.volumes.map(|volumes| volumes.into_iter().map(volume).collect()),
        build_info: asked.build_info.map(build),
        network_block_all: asked.network_block_all,
        network_allow_list: asked.network_allow_list,
        ..Wish::default()
    };
    context.report("creating the sandbox");
    let made = context.client.create_sandbox(&wish).await?;
    let made = sandbox::settled(context, made).await?;
    Ok(format!("Created new sandbox {}", made.core.id))
}

async fn execute(context: Context<'_>, asked: ExecuteCommand) -> Result<String, Failure> {
    let found = sandbox::find_running(context, &asked.id).await?;
    let (exit_code, stdout, stderr) = execution::outcome(context, &found, asked.command).await?;
    Ok(json!({ "stdout": stdout, "stderr": stderr, "exitCode": exit_code }).to_string())
}

async fn upload(context: Context<'_>, asked: UploadFile) -> Result<String, Failure> {
    let content = match asked.encoding.as_str() {
        "base64" => BASE64_STANDARD
            .decode(asked.content.trim())
            .map_err(|error| Failure::new(format!("invalid base64 encoding: {error}")))?,
        _ => asked.content.into_bytes(),
    };
    let found = sandbox::find_running(context, &asked.id).await?;
    let (files, path) = (context.client.files(&found)?, &asked.file_path);
    if !asked.overwrite && files.info(path).await.is_ok() {
        return Err(Failure::new(format!("file '{path}' already exists and overwrite=false")));
    }
    files.upload(path, stream::once(async move { Ok(content.into()) })).await?;
    Ok(format!("File uploaded successfully: {path}"))
}

async fn download(context: Context<'_>, asked: DownloadFile) -> Result<String, Failure> {
    let found = sandbox::find_running(context, &asked.id).await?;
    let path = &asked.file_path;
    let read = file::window(&context.client.files(&found)?, path, 0, MOST_BYTES).await?;
    if read.is_cut {
        return Err(Failure::new(format!("file '{path}' is larger than {MOST_BYTES} bytes"))
            .next("Read parts of it with execute_command."));
    }
    let is_image = |path: &str| {
        let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        matches!(ending.as_str(), "png" | "jpg" | "jpeg" | "gif" | "webp")
    };
    let content = match String::from_utf8(read.bytes) {
        Ok(text) if !is_image(path) => json!([{ "type": "text", "text": text }]),
        Ok(text) => json!([{ "type": "image", "data": BASE64_STANDARD.encode(text) }]),
        Err(other) => {
            let kind = if is_image(path) { "image" } else { "binary" };
            json!([{ "type": kind, "data": BASE64_STANDARD.encode(other.as_bytes()) }])
        }
    };
    Ok(content.to_string())
}

async fn create_folder(context: Context<'_>, asked: CreateFolder) -> Result<String, Failure> {
    let mode = asked.mode.as_deref().unwrap_or("0755");
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
    let mode = mode.ok_or_else(|| Failure::new("mode is no octal number such as 0755"))?;
    let found = sandbox::find_running(context, &asked.id).await?;
    context.client.files(&found)?.make_folder(&asked.folder_path, mode).await?;
    Ok(format!("Created folder: {}", asked.folder_path))
}

async fn list(context: Context<'_>, id: &str, path: &str) -> Result<String, Failure> {
    let found = sandbox::find_running(context, id).await?;
    let files: Files<'_> = context.client.files(&found)?;
    let mut listing = files.list(path).await?;
    let mut entries = Vec::new();
    while let Some(entry) = listing.next().await? {
        if entries.len() == context.settings.output.entries {
            let more =
                json!({ "truncated": format!("only the first {} are shown", entries.len()) });
            entries.push(more);
            break;
        }
        entries.push(crate::shape::value(&entry));
    }
    Ok(Value::Array(entries).to_string())
}

async fn move_file(context: Context<'_>, asked: MoveFile) -> Result<String, Failure> {
    let found = sandbox::find_running(context, &asked.id).await?;
    let files = context.client.files(&found)?;
    files.rename(&asked.source_path, &asked.dest_path).await?;
    Ok(format!("Moved file from {} to {}", asked.source_path, asked.dest_path))
}

async fn clone(context: Context<'_>, asked: GitClone) -> Result<String, Failure> {
    let found: Sandbox = sandbox::find_running(context, &asked.id).await?;
    let (user, secret) = redact::credentials(&asked.url).unzip();
    let url = redact::address(&asked.url);
    let path = match asked.path.filter(|path| !path.is_empty()) {
        Some(path) => path,
        None => repository::folder_of(&asked.url)?,
    };
    let done = format!("Cloned repository: {url} to {path}");
    let request = GitCloneRequest {
        url,
        path,
        branch: asked.branch,
        commit_id: asked.commit_id,
        depth: None,
        insecure_skip_tls: None,
        username: asked.username.or(user),
        password: asked.password.or(secret),
    };
    context.client.git(&found)?.clone(&request).await?;
    Ok(done)
}

async fn preview(context: Context<'_>, asked: PreviewLink) -> Result<String, Failure> {
    let found = sandbox::find_running(context, &asked.id).await?;
    if asked.check_server {
        // A number cannot be anything but one word.
        let look = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}'", asked.port);
        let (exit_code, ..) = execution::outcome(context, &found, look).await?;
        if exit_code != 0 {
            return Err(Failure::new(format!("no server detected on port {}", asked.port)));
        }
    }
    let link = context.client.signed_preview_url(&found.core.id, asked.port, LINK_SECONDS).await?;
    Ok(format!("Preview link generated: {}", link.url))
}
