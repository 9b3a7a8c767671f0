//! Branches: listed, made, deleted, checked out.

use http::StatusCode;
use pitlane_wire::toolbox::{
    GitBranchRequest, GitCheckoutRequest, GitDeleteBranchRequest, ListBranchResponse,
};

use super::command::Command;
use super::repository::{Repository, Work};
use crate::http::{Answer, Query, Refusal, empty, json};

/// What precedes a branch's name.
pub(super) const BRANCHES: &str = "refs/heads/";

/// `GET /git/branches`
pub(super) async fn list(work: Work<'_>, query: &Query) -> Answer {
    let repository = work.repository(query.required("path")?).await?;
    let command = Command::looking(["for-each-ref", "--format=%(refname)", BRANCHES]);
    let output = repository.run(command).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let branches = text.lines().filter_map(|line| line.strip_prefix(BRANCHES)).map(str::to_owned);
    let branches = branches.collect();
    let current = current(&repository).await?.unwrap_or_default();
    json(StatusCode::OK, &ListBranchResponse { branches, current })
}

/// `POST /git/branches`
pub(super) async fn create(work: Work<'_>, asked: GitBranchRequest) -> Answer {
    let name = branch_name("name", &asked.name)?;
    let repository = work.repository(&asked.path).await?;
    let command = Command::new(["checkout", "-q", "-b"]).argument(name).argument("--");
    repository.run(command).await?;
    empty(StatusCode::CREATED)
}

/// `DELETE /git/branches`
pub(super) async fn delete(work: Work<'_>, asked: GitDeleteBranchRequest) -> Answer {
    let name = branch_name("name", &asked.name)?;
    let repository = work.repository(&asked.path).await?;
    repository.run(Command::new(["branch", "-q", "-D", "--"]).argument(name)).await?;
    empty(StatusCode::NO_CONTENT)
}

/// `POST /git/checkout`
pub(super) async fn checkout(work: Work<'_>, asked: GitCheckoutRequest) -> Answer {
    let branch = revision("branch", &asked.branch)?;
    let repository = work.repository(&asked.path).await?;
    repository.run(Command::new(["checkout", "-q"]).argument(branch).argument("--")).await?;
    empty(StatusCode::OK)
}

/// The branch that is checked out, whether it has a commit or not; none when HEAD is detached.
pub(super) async fn current(repository: &Repository<'_>) -> Result<Option<String>, Refusal> {
    let output = repository.try_run(Command::looking(["symbolic-ref", "-q", "HEAD"])).await?;
    Ok(output.line().strip_prefix(BRANCHES).map(str::to_owned))
}

/// A name that can only be a branch's. Git itself refuses what else cannot be one.
pub(super) fn branch_name<'a>(field: &str, name: &'a str) -> Result<&'a str, Refusal> {
    let name = revision(field, name)?;
    // Names of earlier branches.
    if name.contains("@{") || name == "@" || name == "HEAD" {
        return Err(Refusal::bad_request(format!("{field}: {name:?} does not name a branch")));
    }
    Ok(name)
}

/// A word that can name a commit, and is no option.
pub(super) fn revision<'a>(field: &str, word: &'a str) -> Result<&'a str, Refusal> {
    if word.is_empty() {
        return Err(Refusal::bad_request(format!("{field} is required")));
    }
    if word.starts_with(['-', '^']) || word.contains(char::is_control) {
        let shown: String = word.chars().take(100).collect();
        return Err(Refusal::bad_request(format!(
            "{field}: {shown:?} does not name a branch or commit"
        )));
    }
    Ok(word)
}
