//! Running something in a sandbox and reading what it says while it runs.

use std::time::{Duration, Instant};

use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::frames::{Decoder, Frame};
use pitlane_wire::toolbox::{CodeRunRequest, ExecuteRequest, ExecuteResponse, StreamRequest};

use crate::request::Content;
use crate::{Client, RequestError};

/// A program that runs in a sandbox. Dropping it ends the program.
///
/// When the server dies and another takes its place, the output goes on where it broke off. From then on, dropping it
/// leaves the program running.
#[derive(Debug)]
pub struct Execution<'a> {
    client: &'a Client,
    body: Incoming,
    frames: Decoder,
    /// Where the daemon keeps what the program says, unless the server gave the request no name.
    kept: Option<String>,
    received: u64,
}

/// How long another server may take to be there.
const RESUME_DEADLINE: Duration = Duration::from_secs(30);
/// How long one try may take, and how long after it the next comes.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

impl Client {
    /// Runs something in a sandbox. Answers when it has begun.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the sandbox does not run, or the request makes no sense to it.
    pub async fn run(
        &self,
        sandbox: &Sandbox,
        run: &StreamRequest,
    ) -> Result<Execution<'_>, RequestError> {
        let url = self.toolbox_url(sandbox, "/process/execute/stream")?;
        // No deadline: code may run for long.
        let answer = self.send(Method::POST, &url, self.json(run)?).await?;
        let name = answer.headers().get("x-request-id").and_then(|name| name.to_str().ok());
        let kept = name.map(|name| self.toolbox_url(sandbox, &format!("/process/kept/{name}")));
        Ok(Execution {
            client: self,
            kept: kept.transpose()?,
            received: 0,
            body: answer.into_body(),
            frames: Decoder::default(),
        })
    }
}

impl Client {
    /// Runs a command and returns when it has ended; both of its outputs are one text. Dropping the future leaves it to
    /// the server whether the command ends.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: the sandbox does not run, or the command's time was over (408).
    pub async fn execute(
        &self,
        sandbox: &Sandbox,
        request: &ExecuteRequest,
    ) -> Result<ExecuteResponse, RequestError> {
        let url = self.toolbox_url(sandbox, "/process/execute")?;
        self.toolbox(Method::POST, &url, Some(request), None).await
    }

    /// Runs code like [`Client::execute`].
    ///
    /// # Errors
    ///
    /// As [`Client::execute`]; the language may be unknown, too (400).
    pub async fn run_code(
        &self,
        sandbox: &Sandbox,
        request: &CodeRunRequest,
    ) -> Result<ExecuteResponse, RequestError> {
        let url = self.toolbox_url(sandbox, "/process/code-run")?;
        self.toolbox(Method::POST, &url, Some(request), None).await
    }
}

impl Execution<'_> {
    /// Waits for more output. After [`Frame::Exit`] or [`Frame::Failure`] there is none.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::Broken`]: how the program ended is not known. [`RequestError::Unreadable`]: what came is no
    /// output.
    pub async fn next(&mut self) -> Result<Frame, RequestError> {
        let broken = |cause: Box<dyn std::error::Error + Send + Sync>| RequestError::Broken {
            url: self.client.url(),
            cause,
        };
        loop {
            if let Some(frame) =
                self.frames.next_frame().map_err(|cause| self.client.unreadable(cause))?
            {
                return Ok(frame);
            }
            match self.body.frame().await {
                Some(Ok(part)) => {
                    if let Some(bytes) = part.data_ref() {
                        self.received += bytes.len() as u64;
                        self.frames.push(bytes);
                    }
                }
                Some(Err(cause)) => self.resume().await.ok_or_else(|| broken(cause.into()))?,
                None => {
                    let cause = "the output ended before the program did";
                    self.resume().await.ok_or_else(|| broken(cause.into()))?;
                }
            }
        }
    }

    /// Finds the rest of the output, if there is one to be had.
    async fn resume(&mut self) -> Option<()> {
        let url = format!("{}?offset={}", self.kept.as_ref()?, self.received);
        let began = Instant::now();
        while began.elapsed() < RESUME_DEADLINE {
            let asked = self.client.send(Method::GET, &url, Content::Nothing);
            match self.client.within(ATTEMPT_DEADLINE, asked).await {
                Ok(answer) => {
                    self.body = answer.into_body();
                    return Some(());
                }
                // Not there yet, or going again.
                Err(
                    RequestError::Unreachable { .. }
                    | RequestError::Broken { .. }
                    | RequestError::Late { .. }
                    | RequestError::Refused { status: 502..=504, .. },
                ) => tokio::time::sleep(PAUSE).await,
                Err(_) => return None,
            }
        }
        None
    }
}
