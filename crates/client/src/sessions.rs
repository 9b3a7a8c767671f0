//! Sessions of a sandbox: shells that last, and commands that run without anybody waiting for them.

use std::time::Duration;

use http::Method;
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::{
    CreateSessionRequest, Session, SessionCommand, SessionExecuteRequest, SessionExecuteResponse,
    SessionLogPiece, SessionSendInputRequest,
};
use serde::Deserialize;

use crate::request::segment;
use crate::{Client, RequestError};

/// How long an answer may take that waits for no command.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a server that knows no pieces puts before each stream's part of an output.
const MARKS: [&str; 2] = ["\u{1}\u{1}\u{1}", "\u{2}\u{2}\u{2}"];

/// A part of a command's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    /// What follows the first so many bytes.
    From(u64),
    /// The end.
    Last,
}

/// A log, as a server answers that knows pieces, or as others do.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Log {
    Piece(SessionLogPiece),
    Whole { output: String },
}

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

    /// A part of what a command has said so far, of `limit` bytes at most. Offsets are those that earlier pieces told. A
    /// server that knows no pieces sends all of it each time.
    ///
    /// # Errors
    ///
    /// As [`Sessions::command`].
    pub async fn log(
        &self,
        session: &str,
        command: &str,
        part: LogPart,
        limit: usize,
    ) -> Result<SessionLogPiece, RequestError> {
        let query = match part {
            LogPart::From(offset) => format!("/logs?offset={offset}&limit={limit}"),
            LogPart::Last => format!("/logs?tail={limit}"),
        };
        let url = self.of_command(session, command, &query);
        let log = self.client.toolbox::<(), Log>(Method::GET, &url, None, Some(DEADLINE)).await?;
        Ok(match log {
            Log::Piece(piece) => piece,
            Log::Whole { output } => cut(output, part, limit),
        })
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

/// A part of a log that came as a whole.
fn cut(output: String, part: LogPart, limit: usize) -> SessionLogPiece {
    let said = MARKS.iter().fold(output, |said, mark| said.replace(mark, ""));
    let from = match part {
        LogPart::From(offset) => usize::try_from(offset).unwrap_or(usize::MAX).min(said.len()),
        LogPart::Last => said.len().saturating_sub(limit),
    };
    let from = said.floor_char_boundary(from);
    let to = said.floor_char_boundary(from.saturating_add(limit).min(said.len()));
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    SessionLogPiece {
        output: said.get(from..to).unwrap_or_default().to_owned(),
        offset: count(from),
        next_offset: count(to),
        length: count(said.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_came_as_a_whole_is_read_bit_by_bit() {
        let log = || String::from("\u{1}\u{1}\u{1}eins\n\u{2}\u{2}\u{2}zwölf\n");
        let piece = |output: &str, offset, next_offset| SessionLogPiece {
            output: output.to_owned(),
            offset,
            next_offset,
            length: 12,
        };
        assert_eq!(cut(log(), LogPart::From(0), 16), piece("eins\nzwölf\n", 0, 12));
        assert_eq!(cut(log(), LogPart::From(5), 3), piece("zw", 5, 7));
        assert_eq!(cut(log(), LogPart::From(99), 3), piece("", 12, 12));
        assert_eq!(cut(log(), LogPart::Last, 3), piece("lf\n", 9, 12));
    }
}
