//! Sandboxes: made, found, described, deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use pitlane_client::{ListSandboxes, RequestError};
use pitlane_wire::control::{CreateBuildInfo, CreateSandbox as Wish, Sandbox, SandboxCore};

use crate::failure::Failure;
use crate::input::{CreateSandbox, GetPreviewUrl};
use crate::output::{Created, Deleted, Info, Listed, ListedSandbox, Preview};
use crate::shape::value;
use crate::tools::Context;
use crate::visible::line;
use crate::{Answer, redact, repository};

/// The label in which Daytona's SDKs keep a sandbox's language.
const LANGUAGE: &str = "code-toolbox-language";
/// The labels in which the tools keep what a sandbox was made with: the repository's address, and its folder.
const GIT_REPO: &str = "pitlane-git-repo";
const GIT_FOLDER: &str = "pitlane-git-folder";

/// The port that a preview is offered of without anybody asking.
const USUAL_PORT: u16 = 3000;

/// How long an address of a preview is good, unless told.
const PREVIEW_SECONDS: u32 = 3600;

/// How often a sandbox that changes is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Deletes a sandbox that was not finished, unless told that it was.
struct Unfinished<'a> {
    context: Context<'a>,
    id: Option<String>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.context.clean_up(|client| {
            Box::pin(async move {
                if let Err(error) = client.delete_sandbox(&id).await {
                    tracing::warn!(sandbox = %id, %error, "a sandbox that was not finished is left");
                }
            })
        });
    }
}

pub(crate) async fn create(context: Context<'_>, asked: CreateSandbox) -> Result<Answer, Failure> {
    let language = asked.language.unwrap_or_else(|| context.settings.default_language.clone());
    let language = known_language(&language)?;
    let persistent = asked.persistent.unwrap_or(context.settings.default_persistent);
    let mut labels = BTreeMap::from([(LANGUAGE.to_owned(), language.to_owned())]);
    if let Some(url) = &asked.git_repo {
        labels.insert(GIT_REPO.to_owned(), redact::address(url));
        labels.insert(GIT_FOLDER.to_owned(), repository::folder_of(url)?);
    }
    let wish = Wish {
        name: asked.name,
        env: asked.environment_vars,
        labels: Some(labels),
        // One that is not to be kept is deleted when it stops.
        auto_delete_interval: (!persistent).then_some(0),
        ..Wish::default()
    };
    context.report("creating the sandbox");
    let made = make(context, wish, asked.image).await?;
    let mut unfinished = Unfinished { context, id: Some(made.core.id.clone()) };
    let made = settled(context, made).await?;
    let mut text = String::new();
    if let Some(url) = &asked.git_repo {
        context.report("cloning the repository");
        let folder = repository::folder_of(url)?;
        repository::clone(context, &made, url, asked.git_branch, folder.clone()).await.map_err(
            |failure| Failure {
                message: format!("cannot clone {}: {}", redact::address(url), failure.message),
                ..failure
            },
        )?;
        text = format!(" {} is in {folder}.", redact::address(url));
    }
    unfinished.id = None;
    let core = made.core;
    let message = format!("Successfully created sandbox {}", core.id);
    let kept = if persistent { "kept when it stops" } else { "deleted when it stops" };
    let stops = match core.auto_stop_interval {
        Some(0) => String::from("it does not stop by itself"),
        Some(minutes) => format!("it stops after {minutes} idle minutes"),
        None => String::from("it stops when idle"),
    };
    let text = format!("{message} (name {}, {language}; {stops}, {kept}).{text}", core.name);
    let preview_url = usual_preview(context, &core).await;
    let structured = value(&Created {
        sandbox_id: core.id,
        name: core.name,
        language: language.to_owned(),
        status: core.state.unwrap_or_default(),
        preview_url,
        message,
    });
    Ok(Answer::new(structured, text))
}

/// Asks for a sandbox. An image that is no snapshot of the server's is built from its name, as Daytona's SDKs do it.
async fn make(context: Context<'_>, wish: Wish, image: Option<String>) -> Result<Sandbox, Failure> {
    let Some(image) = image else { return Ok(context.client.create_sandbox(&wish).await?) };
    if image.trim().is_empty() || image.chars().any(char::is_whitespace) {
        return Err(Failure::new(format!("'{image}' is no name of an image")));
    }
    let with_snapshot = Wish { snapshot: Some(image.clone()), ..wish.clone() };
    match context.client.create_sandbox(&with_snapshot).await {
        Err(RequestError::Refused { status: 400 | 404, message, .. }) => {
            let dockerfile_content = format!("FROM {image}\n");
            let build_info = CreateBuildInfo { dockerfile_content, ..CreateBuildInfo::default() };
            let with_build = Wish { build_info: Some(build_info), ..wish };
            match context.client.create_sandbox(&with_build).await {
                // A server that builds nothing has said why the snapshot will not do.
                Err(RequestError::Refused { status: 400 | 404 | 501, .. }) => {
                    Err(Failure::new(message).next("Leave out image to get the default one."))
                }
                made => Ok(made?),
            }
        }
        made => Ok(made?),
    }
}

/// The language as the API has it.
pub(crate) fn known_language(language: &str) -> Result<&'static str, Failure> {
    match language.trim().to_ascii_lowercase().as_str() {
        "python" | "python3" | "py" => Ok("python"),
        "javascript" | "js" | "node" | "nodejs" => Ok("javascript"),
        "typescript" | "ts" => Ok("typescript"),
        _ => Err(Failure::new(format!(
            "language '{language}' is not one of python, javascript and typescript"
        ))
        .next("Run other languages with execute_shell.")),
    }
}

/// Waits until a sandbox is what it is going to be.
pub(crate) async fn settled(
    context: Context<'_>,
    mut sandbox: Sandbox,
) -> Result<Sandbox, Failure> {
    loop {
        let state = sandbox.core.state.as_deref().unwrap_or("started");
        match state {
            "started" => return Ok(sandbox),
            "error" | "build_failed" | "destroyed" | "destroying" | "stopped" | "archived" => {
                let reason = sandbox.core.error_reason.as_deref();
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                return Err(Failure::new(format!("the sandbox is {state}{reason}")));
            }
            other => context.report(&format!("the sandbox is {other}")),
        }
        tokio::time::sleep(PAUSE).await;
        sandbox = context.client.sandbox(&sandbox.core.id).await?;
    }
}

/// Finds a sandbox by its id, else by its name.
pub(crate) async fn find(context: Context<'_>, id: &str) -> Result<Sandbox, Failure> {
    let not_found = || {
        Failure::new(format!("Sandbox '{id}' not found"))
            .next("Use list_sandboxes to see what there is.")
    };
    match context.client.sandbox(id).await {
        // It was deleted, and is told of until its last file is gone.
        Ok(found) if matches!(found.core.state.as_deref(), Some("destroying" | "destroyed")) => {
            Err(not_found())
        }
        Ok(sandbox) => Ok(sandbox),
        Err(RequestError::Refused { status: 404, .. }) => Err(not_found()),
        Err(other) => Err(other.into()),
    }
}

/// Finds a sandbox that is to do something: one that stopped is started.
pub(crate) async fn find_running(context: Context<'_>, id: &str) -> Result<Sandbox, Failure> {
    let sandbox = find(context, id).await?;
    match sandbox.core.state.as_deref() {
        None | Some("started") => Ok(sandbox),
        Some("stopped" | "archived") => {
            context.report("starting the sandbox");
            let started = context.client.start_sandbox(&sandbox.core.id).await?;
            // Between the answer and the start it may still be said to be stopped.
            if matches!(started.core.state.as_deref(), Some("stopped" | "archived")) {
                tokio::time::sleep(PAUSE).await;
                return settled(context, context.client.sandbox(&started.core.id).await?).await;
            }
            settled(context, started).await
        }
        Some(_) => settled(context, sandbox).await,
    }
}

/// The folder that was cloned when a sandbox was made.
pub(crate) fn cloned_folder(sandbox: &Sandbox) -> Option<String> {
    sandbox.core.labels.get(GIT_FOLDER).cloned()
}

pub(crate) async fn list(context: Context<'_>) -> Result<Answer, Failure> {
    let found = context.client.sandboxes(&ListSandboxes::default()).await?;
    let (count, limit) = (found.len(), context.settings.output.entries);
    let message = format!("Found {count} sandboxes");
    let mut text = message.clone();
    let sandboxes: Vec<ListedSandbox> = found.into_iter().take(limit).map(listed).collect();
    for one in &sandboxes {
        text.push_str(&format!(
            "\n- {} ({}): {}, {}",
            one.sandbox_id,
            line(&one.name),
            one.status,
            line(&one.language)
        ));
    }
    if count > limit {
        text.push_str(&format!("\nThe {limit} that were used last are shown."));
    }
    Ok(Answer::new(value(&Listed { sandboxes, count, message }), text))
}

fn listed(core: SandboxCore) -> ListedSandbox {
    ListedSandbox {
        language: language_of(&core),
        sandbox_id: core.id,
        name: core.name,
        status: core.state.unwrap_or_default(),
        created_at: core.created_at.unwrap_or_default(),
        preview_url: None,
    }
}

fn language_of(core: &SandboxCore) -> String {
    core.labels.get(LANGUAGE).cloned().unwrap_or_else(|| String::from("python"))
}

pub(crate) async fn delete(context: Context<'_>, id: String) -> Result<Answer, Failure> {
    let sandbox = find(context, &id).await?;
    context.client.delete_sandbox(&sandbox.core.id).await?;
    context.forget(&sandbox.core.id);
    context.logs().forget(&sandbox.core.id);
    let message = format!("Successfully deleted sandbox {id}");
    let text = message.clone();
    let structured = value(&Deleted { sandbox_id: sandbox.core.id, success: true, message });
    Ok(Answer::new(structured, text))
}

pub(crate) async fn info(context: Context<'_>, id: String) -> Result<Answer, Failure> {
    let sandbox = find(context, &id).await?;
    let core = &sandbox.core;
    let info = Info {
        sandbox_id: core.id.clone(),
        name: core.name.clone(),
        language: language_of(core),
        status: core.state.clone().unwrap_or_default(),
        created_at: core.created_at.clone().unwrap_or_default(),
        last_accessed: core
            .last_activity_at
            .clone()
            .or_else(|| core.updated_at.clone())
            .unwrap_or_default(),
        preview_url: usual_preview(context, core).await,
        git_repo: core.labels.get(GIT_REPO).cloned(),
        environment_vars: redact::variables(&sandbox.env),
        message: format!("Retrieved information for sandbox {id}"),
    };
    let text = format!(
        "Sandbox {} ({}): {}, {}, {} CPU, {} GiB memory, {} GiB disk. Created {}, last used {}.",
        info.sandbox_id,
        info.name,
        info.status,
        info.language,
        core.cpu,
        core.memory,
        core.disk,
        info.created_at,
        info.last_accessed
    );
    Ok(Answer::new(value(&info), text))
}

/// Where a web server would usually be seen by those who show a key; nothing if the server does not say.
async fn usual_preview(context: Context<'_>, core: &SandboxCore) -> Option<String> {
    if core.state.as_deref() != Some("started") {
        return None;
    }
    context.client.preview_url(&core.id, USUAL_PORT).await.ok().map(|preview| preview.url)
}

pub(crate) async fn preview(context: Context<'_>, asked: GetPreviewUrl) -> Result<Answer, Failure> {
    let sandbox = find_running(context, &asked.sandbox_id).await?;
    let seconds = asked.expires_in_seconds.unwrap_or(PREVIEW_SECONDS);
    let found = context.client.signed_preview_url(&sandbox.core.id, asked.port, seconds).await?;
    let message = format!("Preview of port {} for {seconds} s", asked.port);
    let text = format!("{}\n{message}. Whoever has the address can open it.", found.url);
    let structured = value(&Preview {
        sandbox_id: sandbox.core.id,
        port: asked.port,
        url: Some(found.url),
        success: true,
        message,
    });
    Ok(Answer::new(structured, text))
}
