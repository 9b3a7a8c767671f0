//! Files of a sandbox: what there is, reading and writing, whole files of any size as they come.
//!
//! Nothing that a sandbox says of itself is believed further than its type: names, sizes and lists are as hostile as the
//! code in it may be. A list ends when it becomes impossible to hold, and silence ends after a minute.

mod download;
mod elements;
mod listing;
mod upload;

use std::fmt;
use std::time::Duration;

use http::Method;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::FileInfo;

pub use download::Download;
pub use listing::Listing;
pub use upload::WriteError;

use crate::request::{Content, segment};
use crate::{Client, RequestError};

/// How long a sandbox may be silent before it is given up.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);

/// The files of one sandbox, through its toolbox. A path that is not absolute begins in the sandbox's working folder.
#[derive(Debug, Clone)]
pub struct Files<'a> {
    client: &'a Client,
    toolbox: String,
}

impl Client {
    /// The files of a sandbox.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unencrypted`]: the key would be sent in the open.
    pub fn files(&self, sandbox: &Sandbox) -> Result<Files<'_>, RequestError> {
        Ok(Files { client: self, toolbox: self.toolbox_url(sandbox, "")? })
    }
}

impl<'a> Files<'a> {
    /// Tells what a file or folder is; symbolic links are followed.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn info(&self, path: &str) -> Result<FileInfo, RequestError> {
        let url = self.url("/files/info", &[("path", &path)]);
        let answer = self.client.exchange(Method::GET, &url, None, SILENCE).await?;
        serde_json::from_slice(&answer).map_err(|cause| self.client.unreadable(cause))
    }

    /// The folder in which relative paths begin.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn work_dir(&self) -> Result<String, RequestError> {
        let url = self.url("/work-dir", &[]);
        let answer = self.client.exchange(Method::GET, &url, None, SILENCE).await?;
        let folder: pitlane_wire::toolbox::Directory =
            serde_json::from_slice(&answer).map_err(|cause| self.client.unreadable(cause))?;
        Ok(folder.dir)
    }

    /// Begins to list what is in a folder, as it comes; not what is in folders in it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404 or 400: there is no folder there.
    pub async fn list(&self, path: &str) -> Result<Listing<'a>, RequestError> {
        let url = self.url("/files", &[("path", &path)]);
        let answer = self
            .client
            .within(SILENCE, self.client.send(Method::GET, &url, Content::Nothing))
            .await?;
        Ok(Listing::new(self.client, answer.into_body()))
    }

    /// Begins to read a file.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404 or 400: there is no file there. [`RequestError::Unreadable`]: one could not
    /// tell its end from a broken connection.
    pub async fn read(&self, path: &str) -> Result<Download, RequestError> {
        let url = self.url("/files/download", &[("path", &path)]);
        let answer = self
            .client
            .within(SILENCE, self.client.send(Method::GET, &url, Content::Nothing))
            .await?;
        Download::new(self.client, answer)
    }

    /// Makes a folder and those above it; one that exists is left as it is.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: something else has the name, or the sandbox's user may not.
    pub async fn make_folder(&self, path: &str, mode: u32) -> Result<(), RequestError> {
        let mode = format!("{:04o}", mode & 0o777);
        let url = self.url("/files/folder", &[("path", &path), ("mode", &mode)]);
        self.client.exchange(Method::POST, &url, None, SILENCE).await.map(drop)
    }

    /// Changes the permissions of a file or folder.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is none, or it is somebody else's.
    pub async fn set_mode(&self, path: &str, mode: u32) -> Result<(), RequestError> {
        let mode = format!("{:04o}", mode & 0o777);
        let url = self.url("/files/permissions", &[("path", &path), ("mode", &mode)]);
        self.client.exchange(Method::POST, &url, None, SILENCE).await.map(drop)
    }

    /// Removes a file, or a folder with everything in it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none; with 403: the sandbox's user may not.
    pub async fn remove(&self, path: &str, recursive: bool) -> Result<(), RequestError> {
        let recursive = if recursive { "true" } else { "false" };
        let url = self.url("/files", &[("path", &path), ("recursive", &recursive)]);
        self.client.exchange(Method::DELETE, &url, None, SILENCE).await.map(drop)
    }

    /// Gives a file or folder another name.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none; with 409: the name is taken.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), RequestError> {
        let url = self.url("/files/move", &[("source", &from), ("destination", &to)]);
        self.client.exchange(Method::POST, &url, None, SILENCE).await.map(drop)
    }

    fn url(&self, path: &str, query: &[(&str, &dyn AsRef<str>)]) -> String {
        let mut url = format!("{}{path}", self.toolbox);
        let mut separator = '?';
        for (name, value) in query {
            url.push_str(&format!("{separator}{name}={}", Escaped(value.as_ref())));
            separator = '&';
        }
        url
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        segment(self.0).fmt(f)
    }
}
