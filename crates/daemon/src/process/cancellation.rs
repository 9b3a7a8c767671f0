//! Ending a request's command by the request's name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::http::{Answer, Refusal, empty};
use crate::occupation::{Occupation, Occupied};
use crate::toolbox::Toolbox;

/// The header by which a server names a request.
const REQUEST_HEADER: &str = "x-pitlane-request";

/// The longest name of a request.
const MAX_NAME: usize = 64;

/// The named requests that have not ended.
#[derive(Debug)]
pub(crate) struct Cancellations {
    all: Arc<Mutex<HashMap<String, CancellationToken>>>,
    occupation: Occupation,
}

/// One request while it lasts.
#[derive(Debug)]
pub(crate) struct Registration {
    token: CancellationToken,
    name: Option<String>,
    all: Arc<Mutex<HashMap<String, CancellationToken>>>,
    /// It may outlive its connection.
    _occupied: Occupied,
}

impl Cancellations {
    /// Has each request count as a command that runs.
    pub(crate) fn new(occupation: Occupation) -> Self {
        Self { all: Arc::default(), occupation }
    }

    /// Remembers a request under the name in its headers, if it has one; of two with one name, the later.
    pub(crate) fn register(&self, headers: &HeaderMap) -> Registration {
        let token = CancellationToken::new();
        let name = headers.get(REQUEST_HEADER).and_then(|name| name.to_str().ok());
        let name = name.filter(|name| is_name(name)).map(str::to_owned);
        if let Some(name) = &name {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(name.clone(), token.clone());
        }
        let _occupied = self.occupation.begin();
        Registration { token, name, all: Arc::clone(&self.all), _occupied }
    }

    fn cancel(&self, name: &str) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(CancellationToken::cancel).is_some()
    }
}

impl Registration {
    /// The request's name, if it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Completes when the request was cancelled.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        }
    }
}

/// Whether a text can name a request: letters, digits and hyphens, and few of them.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// `POST /pitlane/cancel/{id}`: the client of this request has gone. Its command is killed soon after the answer; one
/// that has ended, or never was, is 404.
pub(crate) fn cancel(toolbox: &Toolbox, id: &str) -> Answer {
    if !is_name(id) {
        return Err(Refusal::bad_request("this does not name a request"));
    }
    if toolbox.cancellations().cancel(id) {
        return empty(StatusCode::NO_CONTENT);
    }
    let message = format!("no request {id} is running");
    Err(Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message))
}
