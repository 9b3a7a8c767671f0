//! Remotes: listed, added, replaced.

use http::StatusCode;
use pitlane_daemon::input::git;
use pitlane_wire::toolbox::{GitAddRemoteRequest, GitRemote, ListRemotesResponse};

use super::command::Command;
use super::repository::{Repository, Work};
use crate::http::{Answer, Query, Refusal, empty, json};

/// `GET /git/remotes`
pub(super) async fn list(work: Work<'_>, query: &Query) -> Answer {
    let repository = work.repository(query.required("path")?).await?;
    let remotes = all(&repository).await?;
    json(StatusCode::OK, &ListRemotesResponse { remotes })
}

/// `POST /git/remotes`
pub(super) async fn add(work: Work<'_>, asked: GitAddRemoteRequest) -> Answer {
    let (name, url) = (remote_name(&asked.name)?, address(&asked.url)?);
    let repository = work.repository(&asked.path).await?;
    let exists = all(&repository).await?.iter().any(|remote| remote.name == name);
    if exists && asked.overwrite != Some(true) {
        let message = format!("remote {name} already exists");
        return Err(Refusal::new(StatusCode::CONFLICT, "CONFLICT", message));
    }
    if exists {
        let key = format!("remote.{name}.url");
        let command = Command::new(["config", "--local", "--replace-all", "--"]);
        repository.run(command.argument(key).argument(url)).await?;
        // It would go on to be pushed elsewhere.
        let key = format!("remote.{name}.pushurl");
        let command = Command::new(["config", "--local", "--unset-all", "--"]).argument(key);
        repository.try_run(command).await?;
    } else {
        let command = Command::new(["remote", "add", "--"]).argument(name).argument(url);
        repository.run(command).await?;
    }
    if asked.fetch == Some(true) {
        repository.run(Command::new(["fetch", "-q", "--"]).argument(name)).await?;
    }
    empty(StatusCode::CREATED)
}

/// Where a remote is, as git would go there.
pub(super) async fn resolved(
    repository: &Repository<'_>,
    remote: &str,
    is_push: bool,
) -> Result<String, Refusal> {
    let command = Command::looking(["remote", "get-url"]).argument_if(is_push, "--push");
    let output = repository.try_run(command.argument("--").argument(remote)).await?;
    if output.exit_code == 0 {
        return Ok(output.line());
    }
    // It is an address itself.
    let command = Command::looking(["ls-remote", "--get-url", "--"]).argument(remote);
    Ok(repository.run(command).await?.line())
}

async fn all(repository: &Repository<'_>) -> Result<Vec<GitRemote>, Refusal> {
    let command = Command::looking(["config", "--null", "--get-regexp", r"^remote\..*\.url$"]);
    // Outside a repository, there could be some in the user's settings.
    repository.run(Command::looking(["rev-parse", "--git-dir"])).await?;
    let output = repository.try_run(command).await?;
    match output.exit_code {
        0 => Ok(git::remotes(&output.stdout)),
        1 => Ok(Vec::new()),
        _ => Err(repository.refusal(&output, "")),
    }
}

/// A word that can name a remote, and is no option.
pub(super) fn remote_name(name: &str) -> Result<&str, Refusal> {
    word("name", name)
}

/// An address, which is no option.
pub(super) fn address(url: &str) -> Result<&str, Refusal> {
    word("url", url)
}

fn word<'a>(field: &str, word: &'a str) -> Result<&'a str, Refusal> {
    if word.is_empty() {
        return Err(Refusal::bad_request(format!("{field} is required")));
    }
    if word.starts_with('-') || word.contains(char::is_control) {
        return Err(Refusal::bad_request(format!("{field} is not one of git's")));
    }
    Ok(word)
}
