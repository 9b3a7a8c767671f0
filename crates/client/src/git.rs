//! Repositories in a sandbox. Whoever waits for an operation has the deadline: a clone may take long.

use std::time::Duration;

use http::Method;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::{
    GitAddRequest, GitCheckoutRequest, GitCloneRequest, GitCommitRequest, GitCommitResponse,
    GitConfigResponse, GitPullRequest, GitPushRequest, GitStatus,
};
use serde::Serialize;

use crate::request::segment;
use crate::{Client, RequestError};

/// How long an answer may take for which nothing is fetched or written.
const DEADLINE: Duration = Duration::from_secs(60);

/// The repositories of one sandbox, through its toolbox. A path is a repository's root.
#[derive(Debug, Clone)]
pub struct Git<'a> {
    client: &'a Client,
    url: String,
}

impl Client {
    /// The repositories of a sandbox.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unencrypted`]: the key would be sent in the open.
    pub fn git(&self, sandbox: &Sandbox) -> Result<Git<'_>, RequestError> {
        Ok(Git { client: self, url: self.toolbox_url(sandbox, "/git")? })
    }
}

impl Git<'_> {
    /// Gets a repository.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is none, or it wants other credentials, or something is in the way.
    pub async fn clone(&self, request: &GitCloneRequest) -> Result<(), RequestError> {
        self.act("/clone", request).await
    }

    /// Gets what is new at the remote.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is a conflict, or the remote gave nothing.
    pub async fn pull(&self, request: &GitPullRequest) -> Result<(), RequestError> {
        self.act("/pull", request).await
    }

    /// Gives the remote what is new here.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the remote has other commits, or does not take these.
    pub async fn push(&self, request: &GitPushRequest) -> Result<(), RequestError> {
        self.act("/push", request).await
    }

    /// Stages files.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is no such repository or file.
    pub async fn add(&self, request: &GitAddRequest) -> Result<(), RequestError> {
        self.act("/add", request).await
    }

    /// Makes a commit of what is staged.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: nothing is staged, or a hook is against it.
    pub async fn commit(
        &self,
        request: &GitCommitRequest,
    ) -> Result<GitCommitResponse, RequestError> {
        let url = format!("{}/commit", self.url);
        self.client.toolbox(Method::POST, &url, Some(request), None).await
    }

    /// Checks out a branch or commit.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is none, or changes would be lost.
    pub async fn checkout(&self, request: &GitCheckoutRequest) -> Result<(), RequestError> {
        self.act("/checkout", request).await
    }

    /// What is not as in the last commit.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no repository.
    pub async fn status(&self, path: &str) -> Result<GitStatus, RequestError> {
        let url = format!("{}/status?path={}", self.url, segment(path));
        self.client.toolbox::<(), _>(Method::GET, &url, None, Some(DEADLINE)).await
    }

    /// A setting, as a repository has it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is no such repository, or the server does not tell settings.
    pub async fn setting(&self, path: &str, key: &str) -> Result<Option<String>, RequestError> {
        let url = format!("{}/config?key={}&path={}", self.url, segment(key), segment(path));
        let answer: GitConfigResponse =
            self.client.toolbox::<(), _>(Method::GET, &url, None, Some(DEADLINE)).await?;
        Ok(answer.value)
    }

    async fn act<B: Serialize>(&self, path: &str, request: &B) -> Result<(), RequestError> {
        let url = format!("{}{path}", self.url);
        self.client.toolbox_bytes(Method::POST, &url, Some(request), None).await.map(drop)
    }
}
