//! Sandboxes of a server.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use pitlane_wire::control::{
    Configuration, CreateSandbox, Sandbox, SandboxListItem, SandboxLog, SandboxLogLine, SandboxPage,
};
use serde::{Deserialize, Serialize};

use crate::request::segment;
use crate::{Client, RequestError};

/// Which sandboxes to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListSandboxes {
    /// Only those with all of these labels.
    pub labels: Vec<(String, String)>,
    /// Only those in one of these states; in any if empty.
    pub states: Vec<String>,
    /// Only those whose name begins so.
    pub name: Option<String>,
    /// Only those whose id begins so.
    pub id: Option<String>,
    /// By what they are sorted; by their last use if absent.
    pub order: Option<Order>,
    /// Which way; downwards if absent.
    pub direction: Option<Direction>,
    /// At most so many; all if absent.
    pub limit: Option<usize>,
}

/// By what sandboxes are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Their name.
    Name,
    /// CPUs.
    Cpu,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// When they were made.
    Created,
    /// When they were last used.
    Used,
}

/// Which way sandboxes are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Upwards,
    /// The greatest first.
    Downwards,
}

/// One of the times that end a sandbox by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// Minutes without use until it stops; 0 for never.
    Stop,
    /// Minutes after its stop until it is archived.
    Archive,
    /// Minutes after its stop until it is deleted; 0 deletes on stop, -1 never.
    Delete,
    /// Minutes it lives at most; 0 for ever.
    Life,
}

/// The limits to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Resize {
    /// CPUs' worth of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk, in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
}

/// Where a port of a sandbox can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewUrl {
    /// The sandbox.
    pub sandbox_id: String,
    /// The address.
    pub url: String,
    /// What proves that one may; unless the sandbox is public or the address says it itself.
    pub token: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Labels {
    labels: BTreeMap<String, String>,
}

impl Order {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Cpu => "cpu",
            Self::Memory => "memoryGib",
            Self::Disk => "diskGib",
            Self::Created => "createdAt",
            Self::Used => "lastActivityAt",
        }
    }
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Upwards => "asc",
            Self::Downwards => "desc",
        }
    }
}

impl Interval {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "autostop",
            Self::Archive => "autoarchive",
            Self::Delete => "autodelete",
            Self::Life => "ttl",
        }
    }
}

/// A page as large as servers give.
const PAGE: u32 = 100;

impl Client {
    /// Creates a sandbox and returns when it can be used, or in the state the server left it in.
    ///
    /// Dropping the future does not undo what the server has begun.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: there may be a sandbox unless it is [`RequestError::Refused`] or
    /// [`RequestError::Unreachable`].
    pub async fn create_sandbox(&self, wish: &CreateSandbox) -> Result<Sandbox, RequestError> {
        self.call(Method::POST, "/sandbox", Some(wish)).await
    }

    /// Finds a sandbox by id or name.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.get(&format!("/sandbox/{}", segment(id_or_name))).await
    }

    /// Lists sandboxes, all pages of them.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the list is not complete.
    pub async fn sandboxes(
        &self,
        which: &ListSandboxes,
    ) -> Result<Vec<SandboxListItem>, RequestError> {
        let limit = which.limit.unwrap_or(usize::MAX);
        let page = u32::try_from(limit).unwrap_or(PAGE).clamp(1, PAGE);
        let mut query = format!("?limit={page}");
        let texts = [
            ("name", which.name.as_deref()),
            ("id", which.id.as_deref()),
            ("sort", which.order.map(Order::as_str)),
            ("order", which.direction.map(Direction::as_str)),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", segment(value)));
            }
        }
        if !which.labels.is_empty() {
            let labels: serde_json::Map<_, _> = which
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            let labels = serde_json::Value::Object(labels).to_string();
            query.push_str(&format!("&labels={}", segment(&labels)));
        }
        for state in &which.states {
            query.push_str(&format!("&states={}", segment(state)));
        }
        let mut sandboxes = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: SandboxPage = self.get(&format!("/sandbox{query}{cursor}")).await?;
            // A server that gives cursors without sandboxes would keep us for ever.
            let is_last = page.items.is_empty();
            sandboxes.extend(page.items);
            match page.next_cursor.filter(|_| !is_last && sandboxes.len() < limit) {
                Some(next) => cursor = format!("&cursor={}", segment(&next)),
                None => break,
            }
        }
        sandboxes.truncate(limit);
        Ok(sandboxes)
    }

    /// Starts a stopped sandbox; starting a running one changes nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or there is none.
    pub async fn start_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::POST, &format!("/sandbox/{}/start", segment(id_or_name)), None)
            .await
    }

    /// Stops a sandbox and keeps its disk.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or there is none.
    pub async fn stop_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::POST, &format!("/sandbox/{}/stop", segment(id_or_name)), None)
            .await
    }

    /// Stops a sandbox without giving its processes time to end; keeps its disk.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or there is none.
    pub async fn kill_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        let path = format!("/sandbox/{}/stop?force=true", segment(id_or_name));
        self.call::<(), _>(Method::POST, &path, None).await
    }

    /// Deletes a sandbox with all that is in it. The server goes on freeing it after the answer.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn delete_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        self.call::<(), _>(Method::DELETE, &format!("/sandbox/{}", segment(id_or_name)), None).await
    }

    /// Moves a stopped sandbox's disk to where it costs less.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state does not allow it, or the server cannot.
    pub async fn archive_sandbox(&self, id_or_name: &str) -> Result<Sandbox, RequestError> {
        let path = format!("/sandbox/{}/archive", segment(id_or_name));
        self.call::<(), _>(Method::POST, &path, None).await
    }

    /// Mends a sandbox that failed, and starts it unless `skip_start`.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: it did not fail, or cannot be mended.
    pub async fn recover_sandbox(
        &self,
        id_or_name: &str,
        skip_start: bool,
    ) -> Result<Sandbox, RequestError> {
        let query = if skip_start { "?skipStart=true" } else { "" };
        let path = format!("/sandbox/{}/recover{query}", segment(id_or_name));
        self.call::<(), _>(Method::POST, &path, None).await
    }

    /// Changes a sandbox's limits.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: its state or the server's maximum does not allow it, or nothing would change.
    pub async fn resize_sandbox(
        &self,
        id_or_name: &str,
        resize: &Resize,
    ) -> Result<Sandbox, RequestError> {
        let path = format!("/sandbox/{}/resize", segment(id_or_name));
        self.call(Method::POST, &path, Some(resize)).await
    }

    /// Replaces all labels of a sandbox.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: a label makes no sense, or there is no such sandbox.
    pub async fn set_labels(
        &self,
        id_or_name: &str,
        labels: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, RequestError> {
        let path = format!("/sandbox/{}/labels", segment(id_or_name));
        let set: Labels = self.call(Method::PUT, &path, Some(&Labels { labels })).await?;
        Ok(set.labels)
    }

    /// Opens a sandbox's previews to anyone, or closes them.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is none.
    pub async fn set_public(
        &self,
        id_or_name: &str,
        is_public: bool,
    ) -> Result<Sandbox, RequestError> {
        let path = format!("/sandbox/{}/public/{is_public}", segment(id_or_name));
        self.call::<(), _>(Method::POST, &path, None).await
    }

    /// Changes one of the times that end a sandbox by themselves.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the number makes no sense, or there is no such sandbox.
    pub async fn set_interval(
        &self,
        id_or_name: &str,
        interval: Interval,
        minutes: i64,
    ) -> Result<Sandbox, RequestError> {
        let interval = interval.as_str();
        let path = format!("/sandbox/{}/{interval}/{minutes}", segment(id_or_name));
        self.call::<(), _>(Method::POST, &path, None).await
    }

    /// Tells what became of a sandbox: the changes of its state after the one of this number that the server keeps, the
    /// oldest first. Without any, the server waits so long for the next one, in whole seconds and a minute at most.
    /// Only Pitlane's servers know.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such sandbox, or the server is another's.
    pub async fn sandbox_log(
        &self,
        id_or_name: &str,
        after: u64,
        wait: Duration,
    ) -> Result<Vec<SandboxLogLine>, RequestError> {
        let wait = wait.as_secs();
        let path = format!("/sandbox/{}/log?after={after}&wait={wait}", segment(id_or_name));
        let log: SandboxLog = self.get(&path).await?;
        Ok(log.items)
    }

    /// Tells where a port of a sandbox can be reached by those who show the token.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is no such sandbox or port.
    pub async fn preview_url(
        &self,
        id_or_name: &str,
        port: u16,
    ) -> Result<PreviewUrl, RequestError> {
        self.get(&format!("/sandbox/{}/ports/{port}/preview-url", segment(id_or_name))).await
    }

    /// Tells where a port of a sandbox can be reached for some seconds by anyone who has the address.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is no such sandbox or port, or the time is too long.
    pub async fn signed_preview_url(
        &self,
        id_or_name: &str,
        port: u16,
        seconds: u32,
    ) -> Result<PreviewUrl, RequestError> {
        let sandbox = segment(id_or_name);
        let query = format!("expiresInSeconds={seconds}");
        self.get(&format!("/sandbox/{sandbox}/ports/{port}/signed-preview-url?{query}")).await
    }

    /// Asks a server what it is; needs no key.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: see its variants.
    pub async fn configuration(&self) -> Result<Configuration, RequestError> {
        self.get("/config").await
    }
}
