//! `/git`: repositories.

use pitlane_wire::toolbox::{
    GitAddRemoteRequest, GitAddRequest, GitAuthenticateRequest, GitBranchRequest,
    GitCheckoutRequest, GitCloneRequest, GitCommitInfo, GitCommitRequest, GitCommitResponse,
    GitConfigResponse, GitConfigureUserRequest, GitDeleteBranchRequest, GitInitRequest,
    GitPullRequest, GitPushRequest, GitResetRequest, GitRestoreRequest, GitSetConfigRequest,
    GitStatus, ListBranchResponse, ListRemotesResponse,
};

use crate::openapi::operation::{Operation, text, word};

const REPOSITORY: &str = "The repository.";
/// Every operation may meet these: what cannot be, what is not there, what is in the way, an image without git.
const COMMON: [u16; 4] = [403, 404, 409, 422];
/// And those that talk to a server these.
const ONLINE: [u16; 7] = [401, 403, 404, 408, 409, 422, 502];

pub(super) fn operations() -> Vec<Operation> {
    let mut all = local();
    all.extend(online());
    all.extend(settings());
    all
}

fn local() -> Vec<Operation> {
    vec![
        Operation::new("POST /git/init", "Makes an empty repository")
            .reads::<GitInitRequest>()
            .succeeds(201, "It is there, maybe since before.")
            .refuses(&COMMON),
        Operation::new("POST /git/add", "Stages files")
            .reads::<GitAddRequest>()
            .succeeds(200, "They are staged.")
            .refuses(&COMMON),
        Operation::new("POST /git/commit", "Commits what is staged")
            .reads::<GitCommitRequest>()
            .answers::<GitCommitResponse>(200, "The commit.")
            .refuses(&COMMON),
        Operation::new("POST /git/reset", "Sets HEAD back, or takes files out of the index")
            .reads::<GitResetRequest>()
            .succeeds(200, "It is done.")
            .refuses(&COMMON),
        Operation::new("POST /git/restore", "Gives files their former contents")
            .reads::<GitRestoreRequest>()
            .succeeds(200, "They have them.")
            .refuses(&COMMON),
        Operation::new("GET /git/branches", "Lists branches")
            .needs("path", word(), REPOSITORY)
            .answers::<ListBranchResponse>(200, "The branches.")
            .refuses(&COMMON),
        Operation::new("POST /git/branches", "Makes a branch and checks it out")
            .reads::<GitBranchRequest>()
            .succeeds(201, "It is checked out.")
            .refuses(&COMMON),
        Operation::new("DELETE /git/branches", "Deletes a branch")
            .reads::<GitDeleteBranchRequest>()
            .succeeds(204, "It is gone.")
            .refuses(&COMMON),
        Operation::new("POST /git/checkout", "Checks out a branch or a commit")
            .reads::<GitCheckoutRequest>()
            .succeeds(200, "It is checked out.")
            .refuses(&COMMON),
        Operation::new("GET /git/status", "Tells what is not as in HEAD")
            .needs("path", word(), REPOSITORY)
            .answers::<GitStatus>(200, "Branch, upstream and files.")
            .refuses(&COMMON),
        Operation::new("GET /git/history", "Lists commits")
            .needs("path", word(), REPOSITORY)
            .answers::<Vec<GitCommitInfo>>(200, "Those of HEAD, the newest first, at most 10000.")
            .refuses(&COMMON),
    ]
}

fn online() -> Vec<Operation> {
    vec![
        Operation::new("POST /git/clone", "Clones a repository")
            .reads::<GitCloneRequest>()
            .succeeds(200, "It is there, whole.")
            .refuses(&ONLINE),
        Operation::new("POST /git/pull", "Fetches a branch and unites it with HEAD")
            .reads::<GitPullRequest>()
            .succeeds(200, "HEAD has it.")
            .refuses(&ONLINE),
        Operation::new("POST /git/push", "Sends a branch to a remote")
            .reads::<GitPushRequest>()
            .succeeds(200, "The remote has it.")
            .refuses(&ONLINE),
        Operation::new("GET /git/remotes", "Lists remotes")
            .needs("path", word(), REPOSITORY)
            .answers::<ListRemotesResponse>(200, "The remotes.")
            .refuses(&COMMON),
        Operation::new("POST /git/remotes", "Adds or replaces a remote")
            .reads::<GitAddRemoteRequest>()
            .succeeds(201, "It can be used.")
            .refuses(&ONLINE),
    ]
}

fn settings() -> Vec<Operation> {
    vec![
        Operation::new("GET /git/config", "Reads a setting")
            .needs("key", word(), "As in `user.name`.")
            .query("scope", text(), "`global` (the default), `local` or `system`.")
            .query("path", text(), "The repository, for `local`.")
            .answers::<GitConfigResponse>(200, "Its value, or null.")
            .refuses(&COMMON),
        Operation::new("POST /git/config", "Changes a setting")
            .reads::<GitSetConfigRequest>()
            .succeeds(200, "It has that value alone.")
            .refuses(&COMMON),
        Operation::new("POST /git/config/user", "Sets who makes commits")
            .reads::<GitConfigureUserRequest>()
            .succeeds(200, "They do.")
            .refuses(&COMMON),
        Operation::new("POST /git/credentials", "Keeps credentials in the sandbox, in plain text")
            .reads::<GitAuthenticateRequest>()
            .succeeds(200, "Everything in the sandbox uses them.")
            .refuses(&COMMON),
    ]
}
