//! One request: sent, answered, understood.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use pitlane_wire::control::{ErrorBody, Organization, Sandbox};
use pitlane_wire::toolbox::UploadedFiles;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::connections::{Body, Connections, empty, full};
use crate::endpoint::is_encrypted;
use crate::patience::{ATTEMPTS, Patience};
use crate::{Endpoint, Key, RequestError};

/// How long a request to the control plane may take; creating a sandbox is the longest.
const DEADLINE: Duration = Duration::from_secs(300);

/// The largest answer of the control plane that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The largest answer of a toolbox, in bytes: what is in a sandbox decides how much a daemon has to say.
const MAX_TOOLBOX_BYTES: usize = 16 << 20;

/// The largest refusal that is read, and the most characters of its sentence and its code that are told on.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
const MAX_SENTENCE: usize = 2000;
const MAX_CODE: usize = 64;

/// How many long answers of toolboxes a process reads and understands at the same time; more wait. Each takes several
/// times its length while it is understood.
const LONG_ANSWERS: usize = 4;
/// What is no long answer, in bytes.
const SHORT: u64 = 256 << 10;

/// How long such an answer may take to arrive once it has begun.
const LONG_DEADLINE: Duration = Duration::from_secs(30);

static LONG: Semaphore = Semaphore::const_new(LONG_ANSWERS);

/// The version of Daytona's SDKs whose forms of answers are understood; servers give older forms to older ones.
const SDK_VERSION: &str = "0.226.1";

/// A client of one server, with one key. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    /// For whom an operator acts, if not for their own organization.
    organization: Option<String>,
    connections: Arc<Connections>,
    /// How often one request is sent at most.
    attempts: u32,
    /// Where toolboxes are, if not where the server says.
    toolboxes: Option<Arc<str>>,
}

/// What a request carries.
#[derive(Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Bytes),
    /// A form whose boundary is in its media type.
    Form {
        media_type: String,
        body: Body,
    },
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            organization: None,
            connections: Arc::new(Connections::new()),
            attempts: ATTEMPTS,
            toolboxes: None,
        }
    }

    /// A client that finds toolboxes at this address, whatever the server says. For clients on the server's own machine,
    /// which need not go through what stands before it.
    #[must_use]
    pub fn with_toolboxes_at(&self, url: &str) -> Self {
        Self { toolboxes: Some(url.trim_end_matches('/').into()), ..self.clone() }
    }

    /// A client of the same server for another caller, over the same connections.
    #[must_use]
    pub fn with_key(&self, key: Key) -> Self {
        let endpoint = self.endpoint.with_key(key);
        Self { endpoint, organization: None, ..self.clone() }
    }

    /// A client that sends a request so often again at most, where that can do no harm; three times unless told.
    #[must_use]
    pub fn with_retries(&self, retries: u32) -> Self {
        Self { attempts: retries.saturating_add(1), ..self.clone() }
    }

    /// A client of the same server and key that manages the keys of another organization, which operators may.
    #[must_use]
    pub fn acting_for(&self, organization: &Organization) -> Self {
        let organization = Some(organization.id.clone());
        Self { organization, ..self.clone() }
    }

    /// Which server it talks to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, RequestError> {
        self.call::<(), A>(Method::GET, path, None).await
    }

    /// Asks the control plane something and understands the answer.
    pub(crate) async fn call<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<A, RequestError> {
        let body = body.map(|body| self.bytes(body)).transpose()?;
        let url = format!("{}{path}", self.endpoint.url());
        let answer = self.exchange(method, &url, body, DEADLINE).await?;
        serde_json::from_slice(&answer).map_err(|cause| self.unreadable(cause))
    }

    /// Like [`Client::call`], for answers whose body says nothing.
    pub(crate) async fn act(&self, method: Method, path: &str) -> Result<(), RequestError> {
        let url = format!("{}{path}", self.endpoint.url());
        self.exchange(method, &url, None, DEADLINE).await.map(drop)
    }

    /// Sends a request and reads the whole answer, again and again where that is safe and could help.
    pub(crate) async fn exchange(
        &self,
        method: Method,
        url: &str,
        body: Option<Bytes>,
        deadline: Duration,
    ) -> Result<Bytes, RequestError> {
        let mut patience = Patience::new(&method, self.attempts);
        loop {
            let content = body.clone().map_or(Content::Nothing, Content::Json);
            // Callers hold this future inside theirs.
            let answer = Box::pin(self.within(deadline, async {
                let answer = self.send(method.clone(), url, content).await?;
                self.read(answer, MAX_ANSWER_BYTES).await
            }));
            match answer.await {
                Ok(answer) => return Ok(answer),
                Err(failure) => match patience.wait_after(&failure) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(failure),
                },
            }
        }
    }

    /// The address of something in a sandbox's toolbox.
    pub(crate) fn toolbox_url(
        &self,
        sandbox: &Sandbox,
        path: &str,
    ) -> Result<String, RequestError> {
        let told = sandbox.core.toolbox_proxy_url.trim_end_matches('/');
        let toolbox = self.toolboxes.as_deref().unwrap_or(told);
        let url = format!("{toolbox}/{}{path}", sandbox.core.id);
        if self.endpoint.is_encrypted() && !is_encrypted(&url) {
            return Err(RequestError::Unencrypted { url: self.url() });
        }
        Ok(url)
    }

    /// Asks a sandbox's toolbox something and understands the answer; without a deadline, whoever waits has one.
    pub(crate) async fn toolbox<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        body: Option<&B>,
        deadline: Option<Duration>,
    ) -> Result<A, RequestError> {
        let understand =
            |answer: &Bytes| serde_json::from_slice(answer).map_err(|cause| self.unreadable(cause));
        self.ask_toolbox(method, url, body, deadline, understand).await
    }

    /// Like [`Client::toolbox`], for answers whose body says nothing.
    pub(crate) async fn toolbox_bytes<B: Serialize>(
        &self,
        method: Method,
        url: &str,
        body: Option<&B>,
        deadline: Option<Duration>,
    ) -> Result<Bytes, RequestError> {
        self.ask_toolbox(method, url, body, deadline, |answer| Ok(answer.clone())).await
    }

    async fn ask_toolbox<B: Serialize, A>(
        &self,
        method: Method,
        url: &str,
        body: Option<&B>,
        deadline: Option<Duration>,
        understand: impl Fn(&Bytes) -> Result<A, RequestError>,
    ) -> Result<A, RequestError> {
        let body = body.map(|body| self.bytes(body)).transpose()?;
        // Without a deadline it is asked once: whoever waits does not expect it to be done again.
        let attempts = if deadline.is_some() { self.attempts } else { 1 };
        let mut patience = Patience::new(&method, attempts);
        loop {
            let content = body.clone().map_or(Content::Nothing, Content::Json);
            let asked = Box::pin(async {
                let answer = self.send(method.clone(), url, content).await?;
                let place = self.place_for(&answer).await?;
                let reading = self.read(answer, MAX_TOOLBOX_BYTES);
                let read = match &place {
                    // Others wait for it.
                    Some(_) => self.within(LONG_DEADLINE, reading).await,
                    None => reading.await,
                };
                let understood = read.and_then(|answer| understand(&answer));
                drop(place);
                understood
            });
            let answered = match deadline {
                Some(deadline) => self.within(deadline, asked).await,
                None => asked.await,
            };
            match answered {
                Ok(answer) => return Ok(answer),
                Err(failure) => match patience.wait_after(&failure) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(failure),
                },
            }
        }
    }

    /// Waits for a place among long answers, if this may be one.
    async fn place_for(
        &self,
        answer: &Response<Incoming>,
    ) -> Result<Option<SemaphorePermit<'static>>, RequestError> {
        if answer.body().size_hint().upper().is_some_and(|length| length <= SHORT) {
            return Ok(None);
        }
        LONG.acquire().await.map(Some).map_err(|closed| self.broken(closed))
    }

    pub(crate) fn json<B: Serialize>(&self, body: &B) -> Result<Content, RequestError> {
        self.bytes(body).map(Content::Json)
    }

    fn bytes<B: Serialize>(&self, body: &B) -> Result<Bytes, RequestError> {
        serde_json::to_vec(body).map(Bytes::from).map_err(|cause| self.unreadable(cause))
    }

    /// Sends a request and answers when the head of a success is there.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        content: Content,
    ) -> Result<Response<Incoming>, RequestError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(AUTHORIZATION, format!("Bearer {}", self.endpoint.key().expose()))
            .header(ACCEPT, "application/json, */*;q=0.5")
            .header(USER_AGENT, concat!("pitlane/", env!("CARGO_PKG_VERSION")))
            .header("x-daytona-source", "pitlane")
            .header("x-daytona-sdk-version", SDK_VERSION);
        if let Some(organization) = &self.organization {
            request = request.header("x-daytona-organization-id", organization);
        }
        let body = match content {
            Content::Nothing => empty(),
            Content::Json(json) => {
                request = request.header(CONTENT_TYPE, "application/json");
                full(json)
            }
            Content::Form { media_type, body } => {
                request = request.header(CONTENT_TYPE, media_type);
                body
            }
        };
        let request = request.body(body).map_err(|cause| self.unreadable(cause))?;
        let answer = self.answer(request).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(answer).await) }
    }

    /// Sends a request and answers when the head of any answer is there.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, RequestError> {
        self.connections.send(request).await.map_err(|failure| {
            let (url, cause) = (self.url(), failure.cause);
            if failure.is_unsent {
                RequestError::Unreachable { url, cause }
            } else {
                RequestError::Broken { url, cause }
            }
        })
    }

    async fn read(&self, answer: Response<Incoming>, most: usize) -> Result<Bytes, RequestError> {
        let body = Limited::new(answer.into_body(), most).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|cause| RequestError::Broken { url: self.url(), cause })
    }

    pub(crate) async fn refusal(&self, answer: Response<Incoming>) -> RequestError {
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        let bytes = match self.within(DEADLINE, self.read(answer, MAX_REFUSAL_BYTES)).await {
            Ok(bytes) => bytes,
            // What was refused stays refused, however long the reason is.
            Err(_) if status.is_client_error() => Bytes::new(),
            Err(failure) => return failure,
        };
        let (code, message) = match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(ErrorBody { code, message, .. }) => (code, message),
            Err(_) => match serde_json::from_slice::<UploadedFiles>(&bytes) {
                Ok(upload) if !upload.errors.is_empty() => (None, upload.errors.join("; ")),
                // Something between us and the server, most likely.
                Ok(_) | Err(_) => (None, format!("the server answered {}", phrase(status))),
            },
        };
        let message = message.chars().take(MAX_SENTENCE).collect();
        let code = code.map(|code: String| code.chars().take(MAX_CODE).collect());
        RequestError::Refused { status: status.as_u16(), code, message, retry_after }
    }

    pub(crate) async fn within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| Err(self.late(deadline)))
    }

    pub(crate) fn late(&self, deadline: Duration) -> RequestError {
        RequestError::Late { url: self.url(), seconds: deadline.as_secs() }
    }

    pub(crate) fn url(&self) -> String {
        self.endpoint.url().to_owned()
    }

    pub(crate) fn unreadable(
        &self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> RequestError {
        RequestError::Unreadable { url: self.url(), cause: cause.into() }
    }

    pub(crate) fn broken(
        &self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> RequestError {
        RequestError::Broken { url: self.url(), cause: cause.into() }
    }
}

fn phrase(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Only in seconds: a date would be compared with a clock that may be wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn segment(text: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}
