//! What a repository is like: its working tree and its history.

use http::StatusCode;
use pitlane_daemon::input::git;
use pitlane_wire::toolbox::GitStatus;

use super::command::Command;
use super::repository::{Repository, Work};
use crate::http::{Answer, Query, Refusal, json};

/// How many commits a history shows, the newest.
const MAX_COMMITS: &str = "--max-count=10000";

/// `GET /git/status`
pub(super) async fn status(work: Work<'_>, query: &Query) -> Answer {
    let repository = work.repository(query.required("path")?).await?;
    let command =
        Command::looking(["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"]);
    let output = repository.run(command.setting("status.renames=true")).await?;
    let tree = git::status(&output.stdout).ok_or_else(unreadable)?;
    let mut distance = tree.distance;
    if let (None, Some(branch), true) = (&tree.upstream, &tree.branch, tree.has_commit) {
        distance = distance_from_origin(&repository, branch).await?;
    }
    let (ahead, behind) = distance.unwrap_or_default();
    let status = GitStatus {
        detached: tree.branch.is_none(),
        current_branch: tree.branch.unwrap_or_else(|| String::from("HEAD")),
        ahead,
        behind,
        upstream: tree.upstream.unwrap_or_default(),
        branch_published: distance.is_some(),
        file_status: tree.files,
    };
    json(StatusCode::OK, &status)
}

/// How far HEAD is from the branch of the same name that `origin` had last; none where it had none.
async fn distance_from_origin(
    repository: &Repository<'_>,
    branch: &str,
) -> Result<Option<(u64, u64)>, Refusal> {
    let range = format!("refs/remotes/origin/{branch}...HEAD");
    let command = Command::looking(["rev-list", "--left-right", "--count"]).argument(range);
    let output = repository.try_run(command.argument("--")).await?;
    let line = output.line();
    let mut counts = line.split('\t').map(str::parse);
    let (Some(Ok(behind)), Some(Ok(ahead))) = (counts.next(), counts.next()) else {
        return Ok(None);
    };
    Ok((output.exit_code == 0).then_some((ahead, behind)))
}

/// `GET /git/history`
pub(super) async fn history(work: Work<'_>, query: &Query) -> Answer {
    let repository = work.repository(query.required("path")?).await?;
    let head = Command::looking(["rev-parse", "-q", "--verify", "HEAD^{commit}"]);
    let head = repository.try_run(head).await?;
    match head.exit_code {
        0 => {}
        // There is a repository without a commit.
        1 => return json(StatusCode::OK, &[(); 0]),
        _ => return Err(repository.refusal(&head, "")),
    }
    let command = Command::looking(["log", "-z", "--encoding=UTF-8", "--no-show-signature", "-s"])
        .argument(MAX_COMMITS)
        .argument("--format=%H%x00%an%x00%ae%x00%aI%x00%B")
        .argument("--");
    let output = repository.run(command).await?;
    json(StatusCode::OK, &git::commits(&output.stdout).ok_or_else(unreadable)?)
}

fn unreadable() -> Refusal {
    Refusal::internal("git wrote something else than was asked for")
}
