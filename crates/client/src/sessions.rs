//! Sessions of a sandbox: shells that last, and commands that run without anybody waiting for them.

use std::time::Duration;

use http::Method;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::{
    CreateSessionRequest, Session, SessionCommand, SessionCommandLogsResponse,
    SessionExecuteRequest, SessionExecuteResponse, SessionSendInputRequest,
};

use crate::request::segment;
use crate::{Client, RequestError};

/// How long an answer may take that waits for no command.
const DEADLINE: Duration = Duration::from_secs(60);

/// The sessions of one sandbox, through its toolbox.
#[derive(Debug, Clone)]
pub struct Sessions<'a> {
    client: &'a Client,
    url: String,
}

impl Client {
    /// The sessions of a sandbox.
    ///
    /// # Errors
    ///
    /// [`RequestError::Unencrypted`]: the key would be sent in the open.
    pub fn sessions(&self, sandbox: &Sandbox) -> Result<Sessions<'_>, RequestError> {
        Ok(Sessions { client: self, url: self.toolbox_url(sandbox, "/process/session")? })
    }
}

impl Sessions<'_> {
    /// Starts a session's shell.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 409: the name is taken.
    pub async fn create(&self, session: &str) -> Result<(), RequestError> {
        let body = CreateSessionRequest { session_id: session.to_owned() };
        let answer =
            self.client.toolbox_bytes(Method::POST, &self.url, Some(&body), Some(DEADLINE));
        answer.await.map(drop)
    }

    /// What was run in a session.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such session.
    pub async fn get(&self, session: &str) -> Result<Session, RequestError> {
        let url = self.of(session, "");
        self.client.toolbox::<(), _>(Method::GET, &url, None, Some(DEADLINE)).await
    }

    /// Ends a session and everything that was started in it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such session.
    pub async fn delete(&self, session: &str) -> Result<(), RequestError> {
        let url = self.of(session, "");
        let answer = self.client.toolbox_bytes::<()>(Method::DELETE, &url, None, Some(DEADLINE));
        answer.await.map(drop)
    }

    /// Begins a command; returns its name when the session has it.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`]: there is no such session (404), or its shell has ended (410).
    pub async fn begin(&self, session: &str, command: &str) -> Result<String, RequestError> {
        let body = SessionExecuteRequest {
            command: command.to_owned(),
            run_async: Some(true),
            ..SessionExecuteRequest::default()
        };
        let url = self.of(session, "/exec");
        let answer: SessionExecuteResponse =
            self.client.toolbox(Method::POST, &url, Some(&body), Some(DEADLINE)).await?;
        Ok(answer.cmd_id)
    }

    /// Runs a command that reads no input, and returns when it has ended. Dropping the future ends nothing:
    /// [`Sessions::delete`] does.
    ///
    /// # Errors
    ///
    /// As [`Sessions::begin`].
    pub async fn run(
        &self,
        session: &str,
        command: &str,
    ) -> Result<SessionExecuteResponse, RequestError> {
        let body = SessionExecuteRequest {
            command: command.to_owned(),
            run_async: Some(false),
            ..SessionExecuteRequest::default()
        };
        let url = self.of(session, "/exec");
        self.client.toolbox(Method::POST, &url, Some(&body), None).await
    }

    /// What became of a command: it runs as long as it has no exit code.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 404: there is no such command, or no longer.
    pub async fn command(
        &self,
        session: &str,
        command: &str,
    ) -> Result<SessionCommand, RequestError> {
        let url = self.of_command(session, command, "");
        self.client.toolbox::<(), _>(Method::GET, &url, None, Some(DEADLINE)).await
    }

    /// Everything that a command has said so far.
    ///
    /// # Errors
    ///
    /// As [`Sessions::command`].
    pub async fn logs(
        &self,
        session: &str,
        command: &str,
    ) -> Result<SessionCommandLogsResponse, RequestError> {
        let url = self.of_command(session, command, "/logs");
        self.client.toolbox::<(), _>(Method::GET, &url, None, Some(DEADLINE)).await
    }

    /// Gives a command a line to read.
    ///
    /// # Errors
    ///
    /// [`RequestError::Refused`] with 410: it has ended.
    pub async fn input(
        &self,
        session: &str,
        command: &str,
        data: &str,
    ) -> Result<(), RequestError> {
        let body = SessionSendInputRequest { data: data.to_owned() };
        let url = self.of_command(session, command, "/input");
        let answer = self.client.toolbox_bytes(Method::POST, &url, Some(&body), Some(DEADLINE));
        answer.await.map(drop)
    }

    fn of(&self, session: &str, rest: &str) -> String {
        format!("{}/{}{rest}", self.url, segment(session))
    }

    fn of_command(&self, session: &str, command: &str, rest: &str) -> String {
        self.of(session, &format!("/command/{}{rest}", segment(command)))
    }
}
