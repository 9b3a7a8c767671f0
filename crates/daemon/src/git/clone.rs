//! New repositories: cloned or empty.

use std::path::Path;

use http::StatusCode;
use pitlane_daemon::input::git::origin;
use pitlane_wire::toolbox::{GitCloneRequest, GitInitRequest};

use super::branches::{branch_name, revision};
use super::changes::find_commit;
use super::command::Command;
use super::credentials::{Credentials, Sent};
use super::remotes::address;
use super::repository::{Repository, Work};
use crate::http::{Answer, Refusal, empty};

/// A clone that was asked for, and can be tried.
struct Wanted<'a> {
    url: String,
    branch: Option<&'a str>,
    commit: Option<&'a str>,
    depth: Option<i64>,
    skips_tls: bool,
    credentials: Option<Credentials>,
}

/// `POST /git/clone`: everything or nothing; what was there before stays.
///
/// Fetching and checking out are two commands, of which only the first has the credentials: hooks and filters run in
/// the second.
pub(super) async fn clone(work: Work<'_>, asked: GitCloneRequest) -> Answer {
    let url = absolute(work, address(&asked.url)?);
    let sent = Sent::new(asked.username, asked.password)?;
    let given =
        |value: Option<&'_ String>| value.map(String::as_str).is_some_and(|v| !v.is_empty());
    let branch = asked.branch.as_deref().filter(|_| given(asked.branch.as_ref()));
    let commit = asked.commit_id.as_deref().filter(|_| given(asked.commit_id.as_ref()));
    if commit.is_some_and(|commit| !is_hash(commit)) {
        return Err(Refusal::bad_request("commit_id must be the beginning of a hash"));
    }
    if asked.depth.is_some_and(|depth| depth < 0) {
        return Err(Refusal::bad_request("depth must not be negative"));
    }
    let place = work.place(&asked.path)?;
    let mut wanted = Wanted {
        branch: branch.map(|branch| revision("branch", branch)).transpose()?,
        commit,
        depth: asked.depth.filter(|depth| *depth > 0),
        skips_tls: asked.insecure_skip_tls == Some(true),
        credentials: None,
        url,
    };
    let was_there = match find(work, place.folder()).await? {
        Found::Nothing => false,
        Found::EmptyFolder => true,
        Found::Something => {
            let path = &asked.path;
            let message = format!("{path} already exists and is not an empty folder");
            return Err(Refusal::new(StatusCode::CONFLICT, "CONFLICT", message));
        }
    };
    if sent.is_some() {
        wanted.credentials =
            sent.for_server(&server(work, &wanted.url).await?, &work.nowhere()).await?;
    }
    fetch(work, &place, &wanted, was_there).await?;
    let checked_out = async {
        let repository = work.repository(&asked.path).await?;
        check_out(&repository, &wanted).await
    };
    if let Err(refusal) = checked_out.await {
        place.remove(was_there).await?;
        return Err(refusal);
    }
    empty(StatusCode::OK)
}

/// The address that git goes to. With a password, it is on the server that was named.
async fn server(work: Work<'_>, named: &str) -> Result<String, Refusal> {
    let command = Command::looking(["ls-remote", "--get-url", "--"]).argument(named);
    let url = work.nowhere().run(command).await?.line();
    match (origin(named), origin(&url)) {
        (Some(named), Some(used)) if named != used => Err(Refusal::bad_request(format!(
            "a setting of git's (url.….insteadOf) leads from {named} to {used}: send the password with the address that \
             is meant"
        ))),
        _ => Ok(url),
    }
}

async fn fetch(
    work: Work<'_>,
    place: &Repository<'_>,
    wanted: &Wanted<'_>,
    was_there: bool,
) -> Result<(), Refusal> {
    let mut command = Command::new(["clone", "-q", "--no-checkout", "--origin=origin"]);
    if let Some(branch) = wanted.branch {
        command = command.argument(format!("--branch={branch}"));
    }
    if let Some(depth) = wanted.depth {
        command = command.argument(format!("--depth={depth}"));
    }
    let folder = place.folder().to_string_lossy().into_owned();
    let command = command.argument("--").argument(&*wanted.url).argument(folder);
    let command = wanted.go_online(command);
    // Somebody else was faster, and what is there is theirs.
    let is_in_the_way = |refusal: &Refusal| refusal.message().contains("already exists and is not");
    match work.nowhere().run(command).await {
        Ok(_) => Ok(()),
        Err(refusal) if is_in_the_way(&refusal) => Err(refusal),
        Err(refusal) => {
            place.remove(was_there).await?;
            Err(refusal)
        }
    }
}

async fn check_out(repository: &Repository<'_>, wanted: &Wanted<'_>) -> Result<(), Refusal> {
    let command = Command::new(["checkout", "-q", "-f"]);
    let Some(asked) = wanted.commit else {
        // What was cloned may be empty.
        return match find_commit(repository, "HEAD").await? {
            Some(_) => repository.run(command).await.map(drop),
            None => Ok(()),
        };
    };
    let mut hash = find_commit(repository, asked).await?;
    if hash.is_none() {
        // It is older than what was fetched, or on no branch. Servers give it only by its whole name.
        let mut more = Command::new(["fetch", "-q"]);
        if let Some(depth) = wanted.depth {
            more = more.argument(format!("--depth={depth}"));
        }
        let more = more.argument("--").argument("origin").argument(asked);
        repository.try_run(wanted.go_online(more)).await?;
        hash = find_commit(repository, asked).await?;
    }
    let Some(hash) = hash else {
        let message = format!("the repository has no commit {asked}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "GIT_BRANCH_NOT_FOUND", message));
    };
    repository.run(command.argument("--detach").argument(hash).argument("--")).await.map(drop)
}

impl Wanted<'_> {
    /// Lets a command talk to the server.
    fn go_online<'a>(&'a self, command: Command<'a>) -> Command<'a> {
        let command = command.with_credentials(self.credentials.as_ref());
        if self.skips_tls { command.setting("http.sslVerify=false") } else { command }
    }
}

/// An address; a path is below the work folder.
fn absolute(work: Work<'_>, url: &str) -> String {
    if url.contains(':') || url.starts_with('/') {
        return url.to_owned();
    }
    work.toolbox.absolute(url).to_string_lossy().into_owned()
}

/// What is at a path.
enum Found {
    Nothing,
    EmptyFolder,
    /// A clone must neither change it nor, when it fails, remove it.
    Something,
}

async fn find(work: Work<'_>, folder: &Path) -> Result<Found, Refusal> {
    let folder = folder.to_owned();
    let find = move || {
        if folder.symlink_metadata().is_err() {
            return Found::Nothing;
        }
        match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Found::EmptyFolder,
            Ok(false) | Err(_) => Found::Something,
        }
    };
    Ok(work.toolbox.files().run(find).await?)
}

fn is_hash(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `POST /git/init`
pub(super) async fn init(work: Work<'_>, asked: GitInitRequest) -> Answer {
    let place = work.place(&asked.path)?;
    let mut command = Command::new(["init", "-q"]).argument_if(asked.bare == Some(true), "--bare");
    if let Some(branch) = asked.initial_branch.as_deref().filter(|branch| !branch.is_empty()) {
        let branch = branch_name("initial_branch", branch)?;
        command = command.argument(format!("--initial-branch={branch}"));
    }
    let folder = place.folder().to_string_lossy().into_owned();
    work.nowhere().run(command.argument("--").argument(folder)).await?;
    empty(StatusCode::CREATED)
}
