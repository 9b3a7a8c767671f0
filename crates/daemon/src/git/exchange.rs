//! Pull and push.
//!
//! Each is more than one command where there are credentials: what talks to the server has them and runs no hooks, what
//! runs hooks has none.

use std::ffi::CString;

use http::StatusCode;
use pitlane_wire::toolbox::{GitPullRequest, GitPushRequest};
use rustix::fs::{Access, access};

use super::branches::{BRANCHES, branch_name, current};
use super::changes::commit_of;
use super::command::Command;
use super::credentials::{Credentials, Sent};
use super::remotes::{remote_name, resolved};
use super::repository::{Repository, Work};
use crate::http::{Answer, Refusal, empty};

/// The remote of those who name none.
const DEFAULT_REMOTE: &str = "origin";

/// `POST /git/pull`
pub(super) async fn pull(work: Work<'_>, asked: GitPullRequest) -> Answer {
    let sent = Sent::new(asked.username, asked.password)?;
    let branch = given(asked.branch.as_deref());
    let branch = branch.map(|branch| branch_name("branch", branch)).transpose()?;
    let remote = given(asked.remote.as_deref()).map(remote_name).transpose()?;
    let repository = work.repository(&asked.path).await?;
    let current = current(&repository).await?;
    let (remote, reference) = source(&repository, current.as_deref(), remote, branch).await?;
    let credentials = match sent.is_some() {
        true => {
            let url = resolved(&repository, &remote, false).await?;
            sent.for_server(&url, &repository).await?
        }
        false => None,
    };
    let mut command = Command::new(["fetch", "-q"]);
    if credentials.is_some() {
        // Submodules are other repositories, of whoever.
        command = command.argument("--no-recurse-submodules");
    }
    let command = command.argument("--").argument(remote).argument(reference);
    repository.run(command.with_credentials(credentials.as_ref())).await?;
    unite(&repository, current.as_deref()).await?;
    empty(StatusCode::OK)
}

/// From where to pull, and what.
async fn source(
    repository: &Repository<'_>,
    current: Option<&str>,
    remote: Option<&str>,
    branch: Option<&str>,
) -> Result<(String, String), Refusal> {
    if let Some(branch) = branch {
        let remote = remote.unwrap_or(DEFAULT_REMOTE).to_owned();
        return Ok((remote, format!("{BRANCHES}{branch}")));
    }
    let Some(current) = current else {
        return Err(Refusal::bad_request("HEAD is detached: say which branch to pull"));
    };
    let upstream = setting(repository, &format!("branch.{current}.remote")).await?;
    let merged = setting(repository, &format!("branch.{current}.merge")).await?;
    let own = format!("{BRANCHES}{current}");
    Ok(match (remote, upstream, merged) {
        (None, Some(upstream), Some(merged)) => (upstream, merged),
        (Some(remote), Some(upstream), Some(merged)) if remote == upstream => (upstream, merged),
        (remote, _, _) => (remote.unwrap_or(DEFAULT_REMOTE).to_owned(), own),
    })
}

/// Unites what was fetched with HEAD, as the repository's settings say; without any, by a merge where it has to be.
async fn unite(repository: &Repository<'_>, current: Option<&str>) -> Result<(), Refusal> {
    let mut rebase = None;
    if let Some(current) = current {
        rebase = setting(repository, &format!("branch.{current}.rebase")).await?;
    }
    if rebase.is_none() {
        rebase = setting(repository, "pull.rebase").await?;
    }
    let command = match rebase.as_deref() {
        None | Some("" | "false" | "no" | "off" | "0") => {
            let how = match setting(repository, "pull.ff").await?.as_deref() {
                Some("only") => "--ff-only",
                Some("false" | "no" | "off" | "0") => "--no-ff",
                _ => "--ff",
            };
            Command::new(["merge", "-q", "--no-edit", how])
        }
        Some("merges" | "m") => Command::new(["rebase", "-q", "--rebase-merges"]),
        Some(_) => Command::new(["rebase", "-q"]),
    };
    repository.run(command.argument("FETCH_HEAD")).await.map(drop)
}

/// `POST /git/push`
pub(super) async fn push(work: Work<'_>, asked: GitPushRequest) -> Answer {
    let sent = Sent::new(asked.username, asked.password)?;
    let branch = given(asked.branch.as_deref());
    let branch = branch.map(|branch| branch_name("branch", branch)).transpose()?;
    let remote = given(asked.remote.as_deref()).unwrap_or(DEFAULT_REMOTE);
    let remote = remote_name(remote)?;
    let repository = work.repository(&asked.path).await?;
    let branch = match branch {
        Some(branch) => branch.to_owned(),
        None => current(&repository)
            .await?
            .ok_or_else(|| Refusal::bad_request("HEAD is detached: say which branch to push"))?,
    };
    let reference = format!("{BRANCHES}{branch}");
    let mut credentials = None;
    if sent.is_some() {
        let url = resolved(&repository, remote, true).await?;
        credentials = sent.for_server(&url, &repository).await?;
        if let Some(credentials) = &credentials {
            ask_hook(
                work,
                &repository,
                &Push { remote, url: &url, reference: &reference, credentials },
            )
            .await?;
        }
    }
    let mut command = Command::new(["push", "-q"])
        .argument_if(asked.set_upstream == Some(true), "--set-upstream");
    if credentials.is_some() {
        command = command.argument("--no-verify").argument("--no-recurse-submodules");
    }
    let command =
        command.argument("--").argument(remote).argument(format!("{reference}:{reference}"));
    repository.run(command.with_credentials(credentials.as_ref())).await?;
    empty(StatusCode::OK)
}

/// A push that is about to be made.
struct Push<'a> {
    remote: &'a str,
    url: &'a str,
    reference: &'a str,
    credentials: &'a Credentials,
}

/// Runs the repository's `pre-push` as git would, but without the credentials in reach.
async fn ask_hook(
    work: Work<'_>,
    repository: &Repository<'_>,
    push: &Push<'_>,
) -> Result<(), Refusal> {
    let command = Command::looking(["rev-parse", "--git-path", "hooks/pre-push"]);
    let hook = repository.folder().join(repository.run(command).await?.line());
    let path = hook.clone();
    if work.toolbox.files().run(move || access(&path, Access::EXEC_OK).is_err()).await? {
        return Ok(());
    }
    let local = commit_of(repository, push.reference).await?;
    let command = Command::looking(["ls-remote", "-q", "--refs", "--"])
        .argument(push.remote)
        .argument(push.reference)
        .with_credentials(Some(push.credentials));
    let listed = repository.run(command).await?.line();
    let there = listed.split('\t').next().filter(|hash| !hash.is_empty()).map(str::to_owned);
    let there = there.unwrap_or_else(|| "0".repeat(local.len()));
    let mut input = String::new();
    if there != local {
        input = format!("{0} {local} {0} {there}\n", push.reference);
    }
    let words = ["-c", "exec \"$0\" \"$@\"", &hook.to_string_lossy(), push.remote, push.url];
    let words = words.into_iter().map(CString::new).collect::<Result<_, _>>();
    let words =
        words.map_err(|_contains_nul| Refusal::bad_request("an argument contains a NUL"))?;
    let command = Command::default().reading(input);
    let output = repository.run_program("sh", words, &command).await?;
    if output.exit_code == 0 {
        return Ok(());
    }
    let message =
        format!("the pre-push hook refused\n{}", repository.refusal(&output, "").message());
    Err(Refusal::bad_request(message))
}

/// The value of a setting, if there is one.
async fn setting(repository: &Repository<'_>, key: &str) -> Result<Option<String>, Refusal> {
    let command = Command::looking(["config", "--null", "--get", "--"]).argument(key);
    let value = repository.try_run(command).await?.value();
    Ok(value.filter(|value| !value.is_empty()))
}

fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}
