//! Git: repositories, by the image's own `git`.
//!
//! Hooks, filters, settings, helpers and the rules about whose repositories are trusted are those that the sandbox's
//! user finds at a prompt: git runs as that user, never as the daemon. It asks nobody, opens no editor, and is killed
//! with everything it started when its client goes away.
//!
//! What callers send cannot become an option: it follows a `--`, is bound to its option by a `=`, comes over standard
//! input, or is refused. A password is a file without a name, open in those processes of git alone that talk to a
//! server ([`credentials`]).

mod branches;
mod changes;
mod clone;
mod command;
mod config;
mod credentials;
mod exchange;
mod remotes;
mod repository;
mod state;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

use self::repository::Work;
use crate::http::{Answer, Query, Refusal, read_json, unknown};
use crate::process::Control;
use crate::toolbox::Toolbox;

/// How long an operation may take: a large repository over a slow line.
const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Answers what is below `/git/`.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let control = Control { registration, deadline: Instant::now().checked_add(DEADLINE) };
    let asked = Asked::read(path, request).await?;
    // It belongs to a task of its own: a connection that breaks would leave it half done.
    let (answer, answered) = oneshot::channel();
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        let work = Work { toolbox: &shared, control: &control };
        let result = Box::pin(asked.perform(work)).await;
        // Its name ends before anybody can know that it is over.
        drop(control);
        answer.send(result).ok();
        yield_now().await;
        shared.processes().tidy();
    });
    answered.await.unwrap_or_else(|_gone| Err(Refusal::internal("git's outcome was lost")))
}

macro_rules! operations {
    (
        reads { $($read_path:literal $read_method:ident $read:ident($body:ty) $perform:path;)* }
        asks { $($ask_path:literal $ask:ident $asked_perform:path;)* }
    ) => {
        /// What a request asks for.
        enum Asked {
            $($read($body),)*
            $($ask(Query),)*
        }

        impl Asked {
            async fn read(path: &str, request: Request<Incoming>) -> Result<Self, Refusal> {
                let method = request.method().clone();
                match (path, &method) {
                    $(($read_path, &Method::$read_method) => {
                        read_json(request.into_body()).await.map(Self::$read)
                    })*
                    $(($ask_path, &Method::GET) => Ok(Self::$ask(Query::of(request.uri()))),)*
                    _ => Err(unknown(&method, &format!("/git/{path}"))),
                }
            }

            async fn perform(self, work: Work<'_>) -> Answer {
                match self {
                    $(Self::$read(body) => $perform(work, body).await,)*
                    $(Self::$ask(query) => $asked_perform(work, &query).await,)*
                }
            }
        }
    };
}

operations! {
    reads {
        "add" POST Add(pitlane_wire::toolbox::GitAddRequest) changes::add;
        "branches" POST CreateBranch(pitlane_wire::toolbox::GitBranchRequest) branches::create;
        "branches" DELETE DeleteBranch(pitlane_wire::toolbox::GitDeleteBranchRequest) branches::delete;
        "checkout" POST Checkout(pitlane_wire::toolbox::GitCheckoutRequest) branches::checkout;
        "clone" POST Clone(pitlane_wire::toolbox::GitCloneRequest) clone::clone;
        "commit" POST Commit(pitlane_wire::toolbox::GitCommitRequest) changes::commit;
        "config" POST SetConfig(pitlane_wire::toolbox::GitSetConfigRequest) config::set;
        "config/user" POST ConfigureUser(pitlane_wire::toolbox::GitConfigureUserRequest) config::set_user;
        "credentials" POST Authenticate(pitlane_wire::toolbox::GitAuthenticateRequest) config::authenticate;
        "init" POST Init(pitlane_wire::toolbox::GitInitRequest) clone::init;
        "pull" POST Pull(pitlane_wire::toolbox::GitPullRequest) exchange::pull;
        "push" POST Push(pitlane_wire::toolbox::GitPushRequest) exchange::push;
        "remotes" POST AddRemote(pitlane_wire::toolbox::GitAddRemoteRequest) remotes::add;
        "reset" POST Reset(pitlane_wire::toolbox::GitResetRequest) changes::reset;
        "restore" POST Restore(pitlane_wire::toolbox::GitRestoreRequest) changes::restore;
    }
    asks {
        "branches" ListBranches branches::list;
        "config" GetConfig config::get;
        "history" History state::history;
        "remotes" ListRemotes remotes::list;
        "status" Status state::status;
    }
}
