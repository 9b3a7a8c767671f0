//! One request: sent, answered, understood.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use pitlane_wire::control::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connections::{Connections, empty, full};
use crate::endpoint::is_encrypted;
use crate::{Endpoint, RequestError};

/// How long a request to the control plane may take; creating a sandbox is the longest.
const DEADLINE: Duration = Duration::from_secs(300);

/// The largest answer of the control plane that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A client of one server, with one key.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    connections: Connections,
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connections: Connections::new() }
    }

    /// Which server it talks to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, RequestError> {
        self.call::<(), A>(Method::GET, path, None).await
    }

    pub(crate) async fn call<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<A, RequestError> {
        let url = format!("{}{path}", self.endpoint.url());
        let answer = self.within(async {
            let answer = self.send(method, &url, body).await?;
            self.read(answer).await
        });
        let bytes = answer.await?;
        serde_json::from_slice(&bytes).map_err(|cause| self.unreadable(cause))
    }

    /// Like [`Client::call`], for answers whose body says nothing.
    pub(crate) async fn act(&self, method: Method, path: &str) -> Result<(), RequestError> {
        let url = format!("{}{path}", self.endpoint.url());
        let answer = self.within(async {
            let answer = self.send::<()>(method, &url, None).await?;
            self.read(answer).await
        });
        answer.await.map(drop)
    }

    /// Sends a request to a sandbox's toolbox and answers when its head is there. No deadline: code may run for long.
    pub(crate) async fn toolbox<B: Serialize>(
        &self,
        url: &str,
        body: &B,
    ) -> Result<Response<Incoming>, RequestError> {
        if self.endpoint.is_encrypted() && !is_encrypted(url) {
            return Err(RequestError::Unencrypted { url: self.url() });
        }
        self.send(Method::POST, url, Some(body)).await
    }

    async fn send<B: Serialize>(
        &self,
        method: Method,
        url: &str,
        body: Option<&B>,
    ) -> Result<Response<Incoming>, RequestError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(AUTHORIZATION, format!("Bearer {}", self.endpoint.key().expose()))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("pitlane/", env!("CARGO_PKG_VERSION")))
            .header("x-daytona-source", "pitlane");
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                full(serde_json::to_vec(body).map_err(|cause| self.unreadable(cause))?)
            }
            None => empty(),
        };
        let request = request.body(body).map_err(|cause| self.unreadable(cause))?;
        let answer = self.connections.send(request).await.map_err(|failure| {
            let (url, cause) = (self.url(), failure.cause);
            if failure.is_unsent {
                RequestError::Unreachable { url, cause }
            } else {
                RequestError::Broken { url, cause }
            }
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(answer).await) }
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Bytes, RequestError> {
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|cause| RequestError::Broken { url: self.url(), cause })
    }

    async fn refusal(&self, answer: Response<Incoming>) -> RequestError {
        let status = answer.status();
        let bytes = match self.within(self.read(answer)).await {
            Ok(bytes) => bytes,
            Err(failure) => return failure,
        };
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(ErrorBody { code, message, .. }) => {
                RequestError::Refused { status: status.as_u16(), code, message }
            }
            // Something between us and the server, most likely.
            Err(_) => RequestError::Refused {
                status: status.as_u16(),
                code: None,
                message: format!("the server answered {}", phrase(status)),
            },
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let late = || RequestError::Late { url: self.url(), seconds: DEADLINE.as_secs() };
        tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(late()))
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
}

fn phrase(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn segment(text: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
}
