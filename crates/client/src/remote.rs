//! A server that has tools of its own, asked over HTTP: MCP with its handshake, or LangSwarm's REST routes.
//!
//! Which of the two it speaks is found out by asking. A session, where the server wants one, is kept and begun anew when
//! the server has forgotten it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use crate::RequestError;
use crate::connections::{Connections, full};
use crate::patience::Patience;

/// The revision whose handshake every server understands.
const REVISION: &str = "2025-06-18";
const SESSION: &str = "mcp-session-id";
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// How many characters of a refusal are told on.
const MAX_SENTENCE: usize = 1000;

/// A server with tools.
#[derive(Debug)]
pub struct RemoteTools {
    url: String,
    headers: HeaderMap,
    attempts: u32,
    connections: Connections,
    speech: Mutex<Option<Speech>>,
}

/// What a server is spoken to in.
#[derive(Debug, Clone)]
enum Speech {
    /// MCP, in a session if the server began one.
    Mcp(Option<HeaderValue>),
    /// LangSwarm's routes.
    Rest,
}

/// What a tool came to.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteAnswer {
    /// The model, if the tool has one.
    pub structured: Option<Value>,
    /// The same for a language model to read.
    pub text: String,
    /// Whether the tool says that it failed.
    pub failed: bool,
}

struct Reply {
    status: StatusCode,
    session: Option<HeaderValue>,
    body: Bytes,
    is_stream: bool,
}

impl RemoteTools {
    /// A server at an address, with what every request brings along.
    #[must_use]
    pub fn new(url: &str, headers: Vec<(HeaderName, HeaderValue)>, retries: u32) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            headers: headers.into_iter().collect(),
            attempts: retries.saturating_add(1),
            connections: Connections::new(),
            speech: Mutex::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a tool. Dropping the future closes the connection, by which a server learns that nobody waits.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the call may have had its effect unless it is [`RequestError::Refused`] or
    /// [`RequestError::Unreachable`].
    pub async fn call(
        &self,
        name: &str,
        arguments: &Value,
        deadline: Duration,
    ) -> Result<RemoteAnswer, RequestError> {
        let work = async {
            let known = self.speech.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(speech) = known else { return self.call_anew(name, arguments).await };
            match self.call_in(&speech, name, arguments).await {
                // A session that the server does not know any more, or another server at the same address.
                Err(RequestError::Refused { status: 404, .. }) => {
                    self.call_anew(name, arguments).await
                }
                answered => answered,
            }
        };
        tokio::time::timeout(deadline, work).await.unwrap_or_else(|_| {
            Err(RequestError::Late { url: self.url.clone(), seconds: deadline.as_secs() })
        })
    }

    async fn call_anew(&self, name: &str, arguments: &Value) -> Result<RemoteAnswer, RequestError> {
        let speech = self.begin().await?;
        let answered = self.call_in(&speech, name, arguments).await?;
        *self.speech.lock().unwrap_or_else(PoisonError::into_inner) = Some(speech);
        Ok(answered)
    }

    /// Finds out what the server speaks, and shakes its hand.
    async fn begin(&self) -> Result<Speech, RequestError> {
        let client = json!({ "name": "pitlane", "version": env!("CARGO_PKG_VERSION") });
        let hello = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": { "protocolVersion": REVISION, "capabilities": {}, "clientInfo": client },
        });
        let reply = self.patiently(&self.url, &hello, &Speech::Mcp(None)).await?;
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok(Speech::Rest);
        }
        let session = reply.session.clone();
        self.result(&reply)?;
        let speech = Speech::Mcp(session);
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        self.send(&self.url, &ready, &speech).await?;
        Ok(speech)
    }

    async fn call_in(
        &self,
        speech: &Speech,
        name: &str,
        arguments: &Value,
    ) -> Result<RemoteAnswer, RequestError> {
        if matches!(speech, Speech::Rest) {
            let reply = self.send(&format!("{}/{name}", self.url), arguments, speech).await?;
            if !reply.status.is_success() {
                return Err(refused(&reply));
            }
            let model: Value =
                serde_json::from_slice(&reply.body).map_err(|cause| self.unreadable(cause))?;
            let text = model["message"].as_str().unwrap_or_default().to_owned();
            return Ok(RemoteAnswer { structured: Some(model), text, failed: false });
        }
        let params = json!({ "name": name, "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let result = self.result(&self.send(&self.url, &call, speech).await?)?;
        let texts = result["content"].as_array().into_iter().flatten();
        let texts: Vec<&str> = texts.filter_map(|part| part["text"].as_str()).collect();
        Ok(RemoteAnswer {
            structured: result.get("structuredContent").filter(|model| model.is_object()).cloned(),
            text: texts.join("\n"),
            failed: result["isError"].as_bool().unwrap_or(false),
        })
    }

    /// What an answer of JSON-RPC holds, whether it came alone or as an event of a stream.
    fn result(&self, reply: &Reply) -> Result<Value, RequestError> {
        if !reply.status.is_success() {
            return Err(refused(reply));
        }
        let mut message: Value = if reply.is_stream {
            let text = String::from_utf8_lossy(&reply.body);
            let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
            let messages = data.filter_map(|data| serde_json::from_str::<Value>(data.trim()).ok());
            let mut answers = messages.filter(|message| message.get("method").is_none());
            answers.next().ok_or_else(|| self.unreadable("no event is an answer"))?
        } else {
            serde_json::from_slice(&reply.body).map_err(|cause| self.unreadable(cause))?
        };
        if let Some(error) = message.get("error").filter(|error| !error.is_null()) {
            let told = error["message"].as_str().or(error.as_str()).unwrap_or("it failed");
            return Err(RequestError::Refused {
                status: 200,
                code: None,
                message: told.chars().take(MAX_SENTENCE).collect(),
                retry_after: None,
            });
        }
        match message.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(self.unreadable("neither a result nor an error")),
        }
    }

    /// Sends what has no effect, again where that could help.
    async fn patiently(
        &self,
        url: &str,
        body: &Value,
        speech: &Speech,
    ) -> Result<Reply, RequestError> {
        let mut patience = Patience::new(&Method::GET, self.attempts);
        loop {
            let failure = match self.send(url, body, speech).await {
                Ok(reply) if reply.status.is_server_error() => refused(&reply),
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            match patience.wait_after(&failure) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure),
            }
        }
    }

    async fn send(&self, url: &str, body: &Value, speech: &Speech) -> Result<Reply, RequestError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(USER_AGENT, concat!("pitlane/", env!("CARGO_PKG_VERSION")));
        if let Speech::Mcp(Some(session)) = speech {
            request = request.header(SESSION, session).header("mcp-protocol-version", REVISION);
        }
        let mut request = request
            .body(full(Bytes::from(body.to_string())))
            .map_err(|cause| self.unreadable(cause))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        let answer = self.connections.send(request).await.map_err(|failure| {
            let (url, cause) = (self.url.clone(), failure.cause);
            if failure.is_unsent {
                RequestError::Unreachable { url, cause }
            } else {
                RequestError::Broken { url, cause }
            }
        })?;
        let (parts, body) = answer.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body =
            body.map_err(|cause| RequestError::Broken { url: self.url.clone(), cause })?.to_bytes();
        let session = parts.headers.get(SESSION).cloned();
        Ok(Reply { status: parts.status, session, body, is_stream })
    }

    fn unreadable(
        &self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> RequestError {
        RequestError::Unreadable { url: self.url.clone(), cause: cause.into() }
    }
}

/// A refusal of HTTP, with whatever sentence is in it.
fn refused(reply: &Reply) -> RequestError {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let places = ["/detail", "/error/message", "/error_description", "/error", "/message"];
    let told = places.iter().find_map(|place| body.pointer(place)?.as_str());
    let otherwise = || format!("the server answered {}", reply.status);
    RequestError::Refused {
        status: reply.status.as_u16(),
        code: None,
        message: told.map_or_else(otherwise, |told| told.chars().take(MAX_SENTENCE).collect()),
        retry_after: None,
    }
}
