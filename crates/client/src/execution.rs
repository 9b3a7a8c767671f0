//! Running something in a sandbox and reading what it says while it runs.

use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::StreamRequest;
use pitlane_wire::toolbox::frames::{Decoder, Frame};

use crate::{Client, RequestError};

/// A program that runs in a sandbox. Dropping it ends the program.
#[derive(Debug)]
pub struct Execution<'a> {
    client: &'a Client,
    body: Incoming,
    frames: Decoder,
}

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
        Ok(Execution { client: self, body: answer.into_body(), frames: Decoder::default() })
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
                        self.frames.push(bytes);
                    }
                }
                Some(Err(cause)) => return Err(broken(cause.into())),
                None => return Err(broken("the output ended before the program did".into())),
            }
        }
    }
}
