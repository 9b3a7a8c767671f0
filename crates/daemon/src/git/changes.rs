//! Changes: staged, committed, undone.

use http::StatusCode;
use pitlane_wire::toolbox::{
    GitAddRequest, GitCommitRequest, GitCommitResponse, GitResetRequest, GitRestoreRequest,
};

use super::branches::revision;
use super::command::Command;
use super::repository::{Repository, Work};
use crate::http::{Answer, Refusal, empty, json};

/// `POST /git/add`
pub(super) async fn add(work: Work<'_>, asked: GitAddRequest) -> Answer {
    let files = named(&asked.files)?;
    let repository = work.repository(&asked.path).await?;
    repository.run(Command::new(["add"]).with_paths(files)?).await?;
    empty(StatusCode::OK)
}

/// `POST /git/commit`
pub(super) async fn commit(work: Work<'_>, asked: GitCommitRequest) -> Answer {
    let required =
        [("message", &asked.message), ("author", &asked.author), ("email", &asked.email)];
    for (field, value) in required {
        if value.trim().is_empty() {
            return Err(Refusal::bad_request(format!("{field} is required")));
        }
        if value.contains('\0') {
            return Err(Refusal::bad_request(format!("{field} contains a NUL")));
        }
    }
    let repository = work.repository(&asked.path).await?;
    // Whatever the message says is meant: lines that begin with `#` too.
    let command = Command::new(["commit", "-q", "--cleanup=verbatim", "--file=-"])
        .argument_if(asked.allow_empty == Some(true), "--allow-empty")
        .with_variable("GIT_AUTHOR_NAME", &asked.author)
        .with_variable("GIT_AUTHOR_EMAIL", &asked.email)
        .with_variable("GIT_COMMITTER_NAME", &asked.author)
        .with_variable("GIT_COMMITTER_EMAIL", &asked.email)
        .reading(asked.message);
    repository.run(command).await?;
    let hash = commit_of(&repository, "HEAD").await?;
    json(StatusCode::OK, &GitCommitResponse { hash })
}

/// `POST /git/reset`
pub(super) async fn reset(work: Work<'_>, asked: GitResetRequest) -> Answer {
    let mode = match asked.mode.as_deref().filter(|mode| !mode.is_empty()) {
        None => "mixed",
        Some(mode @ ("soft" | "mixed" | "hard" | "merge" | "keep")) => mode,
        Some(other) => {
            return Err(Refusal::bad_request(format!(
                "mode is {other:?}: use soft, mixed, hard, merge or keep"
            )));
        }
    };
    let files = asked.files.unwrap_or_default();
    if !files.is_empty() && mode != "mixed" {
        return Err(Refusal::bad_request(format!("files cannot be reset with mode {mode}")));
    }
    let target = asked.target.as_deref().filter(|target| !target.is_empty());
    let target = target.map(|target| revision("target", target)).transpose()?;
    let repository = work.repository(&asked.path).await?;
    let mut command = Command::new(["reset", "-q"]);
    if files.is_empty() {
        command = command.argument(format!("--{mode}"));
    } else {
        command = command.with_paths(&files)?;
    }
    if let Some(target) = target {
        command = command.argument(commit_of(&repository, target).await?);
    }
    repository.run(command.argument("--")).await?;
    empty(StatusCode::OK)
}

/// `POST /git/restore`
pub(super) async fn restore(work: Work<'_>, asked: GitRestoreRequest) -> Answer {
    let files = named(&asked.files)?;
    let source = asked.source.as_deref().filter(|source| !source.is_empty());
    let source = source.map(|source| revision("source", source)).transpose()?;
    let is_staged = asked.staged == Some(true);
    let repository = work.repository(&asked.path).await?;
    let mut command = Command::new(["restore", "-q"])
        .argument_if(is_staged, "--staged")
        .argument_if(asked.worktree == Some(true) || !is_staged, "--worktree");
    if let Some(source) = source {
        command = command.argument(format!("--source={}", commit_of(&repository, source).await?));
    }
    repository.run(command.with_paths(files)?).await?;
    empty(StatusCode::OK)
}

/// The commit that a word names.
pub(super) async fn commit_of(repository: &Repository<'_>, word: &str) -> Result<String, Refusal> {
    find_commit(repository, word).await?.ok_or_else(|| {
        let message = format!("{word} does not name a commit");
        Refusal::new(StatusCode::NOT_FOUND, "GIT_BRANCH_NOT_FOUND", message)
    })
}

/// The commit that a word names, if it does.
pub(super) async fn find_commit(
    repository: &Repository<'_>,
    word: &str,
) -> Result<Option<String>, Refusal> {
    let command = Command::looking(["rev-parse", "-q", "--verify"]);
    let output = repository.try_run(command.argument(format!("{word}^{{commit}}"))).await?;
    match output.exit_code {
        0 => Ok(Some(output.line())),
        // It says nothing where the word names nothing.
        1 => Ok(None),
        _ => Err(repository.refusal(&output, "")),
    }
}

fn named(files: &[String]) -> Result<&[String], Refusal> {
    if files.is_empty() { Err(Refusal::bad_request("files is required")) } else { Ok(files) }
}
