//! Repositories in a sandbox, through the toolbox's own git operations: nothing becomes a shell's text.

use pitlane_client::{Git, RequestError};
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::{
    GitAddRequest, GitCheckoutRequest, GitCloneRequest, GitCommitRequest, GitFileState,
    GitPullRequest, GitPushRequest, GitStatus,
};

use crate::failure::{Failure, chain};
use crate::input::{GitAction, GitOperation};
use crate::output::GitDone;
use crate::shape::value;
use crate::tools::Context;
use crate::visible::line;
use crate::{Answer, Missing, redact, sandbox};

/// Who makes commits where git does not know anybody.
const AUTHOR: &str = "Pitlane";
const EMAIL: &str = "agent@sandbox.invalid";

/// How many files a status tells of.
const MOST_FILES: usize = 200;

pub(crate) async fn operate(context: Context<'_>, asked: GitOperation) -> Result<Answer, Failure> {
    if let GitAction::Other(operation) = &asked.operation {
        let message = format!("Unsupported git operation: {operation}");
        let known = GitAction::WORDS.join(", ");
        return Err(Failure::whole(message).next(format!("Use one of {known}.")));
    }
    demand(&asked)?;
    let found = sandbox::find_running(context, &asked.sandbox_id).await?;
    let operation = asked.operation.to_string();
    let outcome = perform(context, &found, asked).await;
    let (success, output, next) = match outcome {
        Ok(output) => (true, output, ""),
        // What git said no to; what no git was asked is a failure of another kind.
        Err(RequestError::Refused { status, code, message, .. })
            if status < 500 || code.is_some() =>
        {
            (false, message, advice(code.as_deref()))
        }
        Err(other) => return Err(other.into()),
    };
    let message = if success {
        String::from("Git operation completed successfully")
    } else {
        String::from("Git operation failed")
    };
    let next = if next.is_empty() { String::new() } else { format!("\n{next}") };
    let text = format!("{message}: {operation}\n{output}{next}");
    let sandbox_id = found.core.id;
    let structured = value(&GitDone { sandbox_id, operation, success, output, message });
    Ok(Answer { failed: !success, ..Answer::new(structured, text) })
}

fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("GIT_REPO_NOT_FOUND") => {
            "Give the repository's folder as working_directory, or clone it first."
        }
        Some("GIT_AUTH_FAILED" | "FORBIDDEN") => {
            "Credentials can be in the address: https://USER:TOKEN@HOST/…, or be set in the sandbox."
        }
        Some("GIT_PUSH_REJECTED") => "Pull first.",
        Some("GIT_DIRTY_WORKTREE") => "Commit first.",
        Some("GIT_MERGE_CONFLICT") => "Solve the conflicts in the files, then commit.",
        Some("GIT_BRANCH_NOT_FOUND") => {
            "To make a branch, run `git switch -c NAME` with execute_shell."
        }
        _ => "",
    }
}

fn demand(asked: &GitOperation) -> Result<(), Failure> {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let (given, message, parameter) = match asked.operation {
        GitAction::Clone => (
            is_given(&asked.repository_url),
            "Repository URL is required for clone operation",
            "repository_url",
        ),
        GitAction::Commit => (
            is_given(&asked.commit_message),
            "Commit message is required for commit operation",
            "commit_message",
        ),
        GitAction::Checkout => {
            (is_given(&asked.branch), "Branch name is required for checkout operation", "branch")
        }
        GitAction::Pull | GitAction::Push | GitAction::Status | GitAction::Other(_) => {
            return Ok(());
        }
    };
    if given {
        return Ok(());
    }
    Err(Failure::needs(message, Missing::of("git_operation", parameter)))
}

async fn perform(
    context: Context<'_>,
    found: &Sandbox,
    asked: GitOperation,
) -> Result<String, RequestError> {
    let git = context.client.git(found)?;
    let folder = asked.working_directory.filter(|folder| !folder.is_empty());
    if asked.operation == GitAction::Clone {
        let url = asked.repository_url.unwrap_or_default();
        let folder = folder.unwrap_or_else(|| last_part(&url));
        git.clone(&clone_request(&url, asked.branch, folder.clone())).await?;
        return Ok(format!("Cloned {} into {folder}", redact::address(&url)));
    }
    let path =
        folder.or_else(|| sandbox::cloned_folder(found)).unwrap_or_else(|| String::from("."));
    match asked.operation {
        GitAction::Pull => {
            let branch = asked.branch;
            let request =
                GitPullRequest { path, branch, remote: None, username: None, password: None };
            git.pull(&request).await?;
            Ok(format!("Pulled\n{}", status_text(&git.status(&request.path).await?)))
        }
        GitAction::Push => {
            let request = GitPushRequest {
                path,
                branch: asked.branch,
                remote: None,
                // So that a pull knows from where.
                set_upstream: Some(true),
                username: None,
                password: None,
            };
            git.push(&request).await?;
            Ok(String::from("Pushed"))
        }
        GitAction::Commit => commit(&git, path, asked.commit_message.unwrap_or_default()).await,
        GitAction::Checkout => {
            let branch = asked.branch.unwrap_or_default();
            git.checkout(&GitCheckoutRequest { path, branch: branch.clone() }).await?;
            Ok(format!("Checked out {branch}"))
        }
        GitAction::Status | GitAction::Clone | GitAction::Other(_) => {
            Ok(status_text(&git.status(&path).await?))
        }
    }
}

/// Commits everything that is not as in the last commit.
async fn commit(git: &Git<'_>, path: String, message: String) -> Result<String, RequestError> {
    git.add(&GitAddRequest { path: path.clone(), files: vec![String::from(".")] }).await?;
    // A server that does not tell settings is no reason not to commit.
    let author = git.setting(&path, "user.name").await.ok().flatten();
    let author = author.unwrap_or_else(|| AUTHOR.to_owned());
    let email = git.setting(&path, "user.email").await.ok().flatten();
    let email = email.unwrap_or_else(|| EMAIL.to_owned());
    let first = message.lines().next().unwrap_or_default().to_owned();
    let request =
        GitCommitRequest { path: path.clone(), message, author, email, allow_empty: None };
    let made = git.commit(&request).await?;
    Ok(format!("[{}] {first}", made.hash.get(..10).unwrap_or(&made.hash)))
}

/// Clones a repository for a new sandbox.
pub(crate) async fn clone(
    context: Context<'_>,
    found: &Sandbox,
    url: &str,
    branch: Option<String>,
    folder: String,
) -> Result<(), Failure> {
    let git = context.client.git(found)?;
    git.clone(&clone_request(url, branch, folder)).await.map_err(|error| {
        let next = error.code().map(|code| advice(Some(code))).filter(|next| !next.is_empty());
        let failure = Failure::new(chain(&error));
        match next {
            Some(next) => failure.next(next),
            None => failure,
        }
    })
}

/// A name and a password in an address go where they are in no process list and no configuration.
fn clone_request(url: &str, branch: Option<String>, path: String) -> GitCloneRequest {
    let (username, password) = redact::credentials(url).unzip();
    GitCloneRequest {
        url: redact::address(url),
        path,
        branch: branch.filter(|branch| !branch.is_empty()),
        commit_id: None,
        depth: None,
        insecure_skip_tls: None,
        username,
        password,
    }
}

/// The folder that git would clone an address into.
pub(crate) fn folder_of(url: &str) -> Result<String, Failure> {
    match last_part(url) {
        name if name.is_empty() => Err(Failure::new("the repository's address has no name in it")),
        name => Ok(name),
    }
}

fn last_part(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let name = last.strip_suffix(".git").unwrap_or(last);
    if matches!(name, "." | "..") { String::new() } else { name.to_owned() }
}

fn status_text(status: &GitStatus) -> String {
    let mut text = format!("On branch {}", line(&status.current_branch));
    if !status.upstream.is_empty() {
        text.push_str(&format!(
            " ({} ahead of {}, {} behind)",
            status.ahead, status.upstream, status.behind
        ));
    }
    if status.file_status.is_empty() {
        text.push_str("\nnothing to commit");
    }
    for file in status.file_status.iter().take(MOST_FILES) {
        let former = match file.extra.as_str() {
            "" => String::new(),
            extra => format!("{} -> ", line(extra)),
        };
        text.push_str(&format!(
            "\n{}{} {former}{}",
            letter(file.staging),
            letter(file.worktree),
            line(&file.name)
        ));
    }
    let more = status.file_status.len().saturating_sub(MOST_FILES);
    if more > 0 {
        text.push_str(&format!("\nand {more} more: run `git status` with execute_shell"));
    }
    text
}

const fn letter(state: GitFileState) -> char {
    match state {
        GitFileState::Unmodified => ' ',
        GitFileState::Untracked => '?',
        GitFileState::Modified => 'M',
        GitFileState::Added => 'A',
        GitFileState::Deleted => 'D',
        GitFileState::Renamed => 'R',
        GitFileState::Copied => 'C',
        GitFileState::Unmerged => 'U',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_goes_where_git_would_put_it() {
        for (url, folder) in [
            ("https://github.com/user/repo.git", "repo"),
            ("https://github.com/user/repo/", "repo"),
            ("git@github.com:user/repo.git", "repo"),
            ("git@host:repo", "repo"),
            ("/srv/git/thing", "thing"),
            ("https://h/..", ""),
        ] {
            assert_eq!(last_part(url), folder, "{url}");
        }
    }

    #[test]
    fn credentials_travel_beside_the_address() {
        let request = clone_request("https://me:t%20k@h/r.git", None, String::from("r"));
        assert_eq!(
            (request.url.as_str(), request.username.as_deref(), request.password.as_deref()),
            ("https://h/r.git", Some("me"), Some("t k"))
        );
    }
}
