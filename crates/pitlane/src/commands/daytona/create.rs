//! `daytona create`.

use std::process::ExitCode;

use pitlane_client::{Client, ExecuteRequest, Frame, StreamRequest};
use pitlane_wire::control::{CreateBuildInfo, CreateSandbox, Sandbox, SandboxVolume};

use crate::cli::{pair, shell_line};
use crate::commands::execution::{Interruption, pass_on};
use crate::commands::sandbox::create_or_undo;
use crate::commands::wait;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output;

/// The labels that keep which repository a sandbox was made for, and its folder: those of the tools.
pub(super) const REPOSITORY: &str = "pitlane-git-repo";
const FOLDER: &str = "pitlane-git-folder";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Git repository to clone into it
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Branch of the repository
    #[arg(long, requires = "repository")]
    branch: Option<String>,
    /// Its name [default: its id]
    #[arg(long)]
    name: Option<String>,
    /// Variable of every process in it; may be given several times
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Label; may be given several times
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Image to start from, such as debian:12
    #[arg(long, conflicts_with_all = ["snapshot", "dockerfile"])]
    image: Option<String>,
    /// Snapshot to start from [default: the server's]
    #[arg(long, conflicts_with = "dockerfile")]
    snapshot: Option<String>,
    /// Dockerfile to build it from; without files beside it
    #[arg(long, short = 'f', value_name = "FILE")]
    dockerfile: Option<std::path::PathBuf>,
    /// User that its processes run as [default: the snapshot's]
    #[arg(long)]
    user: Option<String>,
    /// Region
    #[arg(long)]
    target: Option<String>,
    /// CPUs it may use
    #[arg(long, value_name = "NUMBER")]
    cpu: Option<u32>,
    /// Graphics cards
    #[arg(long, value_name = "NUMBER")]
    gpu: Option<u32>,
    /// Memory it may use, in GiB as the API has it
    #[arg(long, value_name = "GIB")]
    memory: Option<u32>,
    /// Disk it may use
    #[arg(long, value_name = "GIB")]
    disk: Option<u32>,
    /// Open its previews to anyone
    #[arg(long)]
    public: bool,
    /// Minutes without use until it stops; 0 for never [default: the server's]
    #[arg(long, value_name = "MINUTES")]
    auto_stop: Option<i64>,
    /// Minutes after its stop until it is archived [default: the server's]
    #[arg(long, value_name = "MINUTES")]
    auto_archive: Option<i64>,
    /// Minutes after its stop until it is deleted; 0 when it stops, less for never
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    auto_delete: Option<i64>,
    /// Minutes from now until it is deleted, whatever happens; 0 for never
    #[arg(long, value_name = "MINUTES")]
    ttl: Option<i64>,
    /// Volume in it; may be given several times
    #[arg(long, short, value_name = "VOLUME:PATH", value_parser = volume)]
    volume: Vec<SandboxVolume>,
    /// Give it no network
    #[arg(long)]
    network_block_all: bool,
    /// Ranges that it may reach, comma separated
    #[arg(long, value_name = "CIDRS")]
    network_allow_list: Option<String>,
}

/// Creates a sandbox and clones the repository, if one was named. A sandbox without its repository is deleted.
pub(super) fn create(client: &Client, arguments: Arguments) -> Result<ExitCode, Failure> {
    let clone = arguments.clone_line()?;
    let wish = arguments.into_wish()?;
    let sandbox = wait(async {
        let sandbox = Box::pin(create_or_undo(client, &wish)).await?;
        let Some(line) = clone else { return Ok(sandbox) };
        let mut interruption = Interruption::watch()?;
        let cloned = tokio::select! {
            cloned = run_in(client, &sandbox, line) => cloned,
            failure = interruption.wait() => Err(failure),
        };
        let Err(failure) = cloned else { return Ok(sandbox) };
        Err(match client.delete_sandbox(&sandbox.core.id).await {
            Ok(_) => failure,
            Err(_) => failure.hint(format!("`daytona delete {}` deletes it", sandbox.core.id)),
        })
    })?;
    output::write(text(&sandbox).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// LangSwarm's tool takes the first word with a hyphen of a line that speaks of a workspace for its id.
fn text(sandbox: &Sandbox) -> String {
    let (id, name) = (&sandbox.core.id, &sandbox.core.name);
    let state = sandbox.core.state.as_deref().unwrap_or("unknown");
    format!(
        "Sandbox (or workspace) created: {id}\nName: {}\nState: {state}\n",
        super::form::word(name, id)
    )
}

impl Arguments {
    fn clone_line(&self) -> Result<Option<String>, Failure> {
        let Some(repository) = &self.repository else { return Ok(None) };
        let branch = self.branch.as_ref().map(|branch| format!("--branch={branch}"));
        let words = ["git", "clone", "--quiet"].map(str::to_owned).into_iter().chain(branch);
        let words = words.chain(["--".to_owned(), repository.clone()]);
        shell_line(&words.map(Into::into).collect::<Vec<_>>()).map(Some)
    }

    fn into_wish(self) -> Result<CreateSandbox, Failure> {
        let dockerfile = match (&self.dockerfile, &self.image) {
            (Some(path), _) => Some(
                std::fs::read_to_string(path)
                    .doing(format!("cannot read {}", path.display()))
                    .map_err(|failure| failure.exit(Exit::Usage))?,
            ),
            (None, Some(image)) if image.contains(char::is_whitespace) || image.is_empty() => {
                let failure = Failure::new(format!("{image:?} is not the name of an image"));
                return Err(failure.exit(Exit::Usage));
            }
            (None, image) => image.as_ref().map(|image| format!("FROM {image}\n")),
        };
        let repository = self.repository.as_deref().into_iter().flat_map(|url| {
            [(REPOSITORY.to_owned(), without_password(url)), (FOLDER.to_owned(), folder_of(url))]
        });
        let labels = repository.chain(self.label).collect();
        Ok(CreateSandbox {
            name: self.name,
            snapshot: self.snapshot,
            build_info: dockerfile.map(|dockerfile_content| CreateBuildInfo {
                dockerfile_content,
                ..CreateBuildInfo::default()
            }),
            user: self.user,
            env: Some(self.env.into_iter().collect()),
            labels: Some(labels),
            target: self.target,
            cpu: self.cpu,
            gpu: self.gpu,
            memory: self.memory,
            disk: self.disk,
            public: self.public.then_some(true),
            auto_stop_interval: self.auto_stop,
            auto_archive_interval: self.auto_archive,
            auto_delete_interval: self.auto_delete,
            ttl_minutes: self.ttl,
            volumes: (!self.volume.is_empty()).then_some(self.volume),
            network_block_all: self.network_block_all.then_some(true),
            network_allow_list: self.network_allow_list,
            ..CreateSandbox::default()
        })
    }
}

/// The address of a repository as it may be kept where others read it.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// The folder that git makes for a repository.
fn folder_of(url: &str) -> String {
    let path = url.trim_end_matches('/');
    let name = path.rsplit(['/', ':']).next().unwrap_or(path);
    name.strip_suffix(".git").unwrap_or(name).to_owned()
}

/// Runs a command line, whose output is no data here.
async fn run_in(client: &Client, sandbox: &Sandbox, command: String) -> Result<(), Failure> {
    // Nobody could answer a question for a password.
    let envs = [("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned())].into();
    let run = ExecuteRequest { command, cwd: None, envs: Some(envs), timeout: None };
    let mut execution = client.run(sandbox, &StreamRequest::Command(run)).await?;
    loop {
        match execution.next().await? {
            Frame::Stdout(bytes) | Frame::Stderr(bytes) => {
                pass_on(bytes, output::write_aside).await?;
            }
            Frame::Exit(0) => return Ok(()),
            Frame::Exit(code) => {
                let failure = format!("the repository was not cloned: git ended with {code}");
                return Err(Failure::new(failure).hint("the sandbox was deleted again"));
            }
            Frame::Failure(sentence) => return Err(Failure::new(sentence)),
        }
    }
}

fn volume(text: &str) -> Result<SandboxVolume, String> {
    match text.split_once(':') {
        Some((volume, path)) if !volume.is_empty() && path.starts_with('/') => Ok(SandboxVolume {
            volume_id: volume.to_owned(),
            mount_path: path.to_owned(),
            subpath: None,
        }),
        Some(_) | None => Err("it has the form VOLUME:/PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{folder_of, without_password};

    #[test]
    fn a_repository_gets_the_folder_that_git_gives_it() {
        for url in ["https://h/x/a.git", "https://h/a/", "git@h:x/a.git", "h:a", "/srv/a"] {
            assert_eq!(folder_of(url), "a", "{url}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_kept() {
        let cases = [
            ("https://u:p@h/a@b.git", "https://h/a@b.git"),
            ("https://h:1/a.git", "https://h:1/a.git"),
            ("https://token@h", "https://h"),
            ("git@h:a/b.git", "git@h:a/b.git"),
        ];
        for (url, kept) in cases {
            assert_eq!(without_password(url), kept);
        }
    }
}
