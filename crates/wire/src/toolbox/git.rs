//! Git: repositories in a sandbox.
//!
//! Requests have the reference's names with underscores, answers its names without. A path of a repository is the
//! repository's root; a relative one is in the work folder.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of `POST /git/add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitAddRequest {
    /// The repository.
    pub path: String,
    /// What to stage, relative to the repository; `.` is everything.
    pub files: Vec<String>,
}

/// The body of `POST /git/branches`: makes a branch where HEAD is, and checks it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitBranchRequest {
    /// The repository.
    pub path: String,
    /// The new branch.
    pub name: String,
}

/// The body of `DELETE /git/branches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitDeleteBranchRequest {
    /// The repository.
    pub path: String,
    /// The branch, merged or not.
    pub name: String,
}

/// The answer of `GET /git/branches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListBranchResponse {
    /// The local branches, in the order of their names.
    pub branches: Vec<String>,
    /// The one that is checked out, which may not have a commit yet; empty when HEAD is detached.
    pub current: String,
}

/// The body of `POST /git/checkout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCheckoutRequest {
    /// The repository.
    pub path: String,
    /// A branch, or what else names a commit.
    pub branch: String,
}

/// The body of `POST /git/clone`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCloneRequest {
    /// What to clone.
    pub url: String,
    /// Where the new repository will be.
    pub path: String,
    /// The branch or tag to check out; left out, the remote's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit to check out, detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// How many commits of history to fetch; left out or 0, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<i64>,
    /// Whether any certificate of the server will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_tls: Option<bool>,
    /// Whom the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// The body of `POST /git/commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCommitRequest {
    /// The repository.
    pub path: String,
    /// The message, kept as it is.
    pub message: String,
    /// The author's and committer's name.
    pub author: String,
    /// Their address.
    pub email: String,
    /// Whether nothing need have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
}

/// The answer of `POST /git/commit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCommitResponse {
    /// The new commit.
    pub hash: String,
}

/// The answer of `GET /git/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitConfigResponse {
    /// The value, or null where there is none; of several, the last.
    pub value: Option<String>,
}

/// The body of `POST /git/config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitSetConfigRequest {
    /// As in `user.name`.
    pub key: String,
    /// The only value from now on.
    pub value: String,
    /// `global` (the default), `local` or `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The repository, for `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The body of `POST /git/config/user`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitConfigureUserRequest {
    /// Who makes commits.
    pub name: String,
    /// Their address.
    pub email: String,
    /// `global` (the default), `local` or `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The repository, for `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The body of `POST /git/credentials`: kept in plain text in the sandbox, for everything in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitAuthenticateRequest {
    /// Whom the server knows.
    pub username: String,
    /// Their password or token.
    pub password: String,
    /// The server, with its port if it has one; left out, `github.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Left out, `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// One of the answers of `GET /git/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitCommitInfo {
    /// The commit.
    pub hash: String,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// The whole message.
    pub message: String,
    /// When the author wrote it, as RFC 3339 has it.
    pub timestamp: String,
}

/// The body of `POST /git/init`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitInitRequest {
    /// Where the repository will be.
    pub path: String,
    /// Whether it has no working tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bare: Option<bool>,
    /// Its first branch; left out, what git is configured to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_branch: Option<String>,
}

/// The body of `POST /git/pull`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitPullRequest {
    /// The repository.
    pub path: String,
    /// The remote's branch; left out, the upstream of the current one, or the one of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Left out, that of the upstream, or `origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Whom the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// The body of `POST /git/push`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitPushRequest {
    /// The repository.
    pub path: String,
    /// The branch, of the same name there; left out, the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Left out, `origin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Whether the remote's branch becomes the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_upstream: Option<bool>,
    /// Whom the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their password or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitRemote {
    /// As in `origin`.
    pub name: String,
    /// Where it is; of several, the first.
    pub url: String,
}

/// The answer of `GET /git/remotes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListRemotesResponse {
    /// The remotes, in the order of their names.
    pub remotes: Vec<GitRemote>,
}

/// The body of `POST /git/remotes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitAddRemoteRequest {
    /// The repository.
    pub path: String,
    /// As in `origin`.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether to fetch from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<bool>,
    /// Whether it may take the place of one of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
}

/// The body of `POST /git/reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitResetRequest {
    /// The repository.
    pub path: String,
    /// `soft`, `mixed` (the default), `hard`, `merge` or `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What names a commit; left out, HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only these, whose changes leave the index; only with `mixed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
}

/// The body of `POST /git/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitRestoreRequest {
    /// The repository.
    pub path: String,
    /// What to restore, relative to the repository.
    pub files: Vec<String>,
    /// Whether in the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<bool>,
    /// Whether in the working tree, which is the default when neither is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
    /// What names the commit they are taken from; left out, the index, or HEAD for the index itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What has become of a file, in the index or in the working tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum GitFileState {
    /// Nothing.
    Unmodified,
    /// Git does not know it.
    Untracked,
    /// Its contents, mode or kind changed.
    Modified,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It has another name.
    Renamed,
    /// It is a copy of another.
    Copied,
    /// A merge left a conflict in it.
    #[serde(rename = "Updated but unmerged")]
    Unmerged,
}

/// A file that is not as in HEAD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GitFileStatus {
    /// Its path in the repository.
    pub name: String,
    /// Its former path, of a renamed or copied one.
    pub extra: String,
    /// The index, compared with HEAD.
    pub staging: GitFileState,
    /// The working tree, compared with the index.
    pub worktree: GitFileState,
}

/// The answer of `GET /git/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GitStatus {
    /// The branch, which may not have a commit yet; `HEAD` when it is detached.
    pub current_branch: String,
    /// Whether HEAD is a commit and not a branch.
    pub detached: bool,
    /// How many commits the upstream lacks.
    pub ahead: u64,
    /// How many commits of the upstream are missing.
    pub behind: u64,
    /// The upstream, as in `origin/main`; empty where there is none.
    pub upstream: String,
    /// Whether a remote has the branch, as far as is known.
    pub branch_published: bool,
    /// Every file that is not as in HEAD.
    pub file_status: Vec<GitFileStatus>,
}

/// Requests with passwords show none of them.
macro_rules! show_without_password {
    ($($name:ident: $($field:ident)*;)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        }
    )*};
}

show_without_password! {
    GitCloneRequest: path branch commit_id depth insecure_skip_tls;
    GitAuthenticateRequest: host protocol;
    GitPullRequest: path branch remote;
    GitPushRequest: path branch remote set_upstream;
}
