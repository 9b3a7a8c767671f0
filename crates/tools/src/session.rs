//! Commands that run without anybody waiting for them: each in a session of its own, which is deleted with `kill` or with
//! the sandbox.

use pitlane_client::{LogPart, RequestError, Sessions};
use pitlane_wire::control::Sandbox;
use pitlane_wire::toolbox::SessionLogPiece;

use crate::execution::{Session, enter};
use crate::failure::Failure;
use crate::input::{ExecSession, SessionAction};
use crate::output::SessionDone;
use crate::shape::value;
use crate::tools::Context;
use crate::{Answer, Missing, sandbox};

pub(crate) async fn operate(context: Context<'_>, asked: ExecSession) -> Result<Answer, Failure> {
    if let SessionAction::Other(action) = &asked.action {
        let known = SessionAction::WORDS.join(", ");
        let failure = Failure::whole(format!("Unsupported session action: {action}"));
        return Err(failure.next(format!("Use one of {known}.")));
    }
    demand(&asked)?;
    let found = sandbox::find_running(context, &asked.sandbox_id).await?;
    let sessions = context.client.sessions(&found)?;
    if asked.action == SessionAction::Start {
        return start(context, &found, asked).await;
    }
    let name = asked.session_id.unwrap_or_default();
    match asked.action {
        SessionAction::Stdin => {
            let command = last_command(&sessions, &name).await?.0;
            let input = asked.input.unwrap_or_default();
            sessions.input(&name, &command, &input).await.map_err(|error| of(&name, error))?;
            let message = String::from("Sent the line");
            Ok(done(&found, name, State::running(), message, ""))
        }
        SessionAction::Kill => {
            sessions.delete(&name).await.map_err(|error| of(&name, error))?;
            let message = format!("Ended session {name} and everything in it");
            Ok(done(&found, name, State::default(), message, ""))
        }
        SessionAction::Poll | SessionAction::Start | SessionAction::Other(_) => {
            poll(context, &found, &sessions, name, asked.offset).await
        }
    }
}

/// How a command is, and a piece of what it said.
#[derive(Default)]
struct State {
    running: bool,
    exit_code: Option<i32>,
    output: String,
    next_offset: u64,
}

impl State {
    fn running() -> Self {
        Self { running: true, ..Self::default() }
    }
}

fn done(found: &Sandbox, session_id: String, state: State, message: String, more: &str) -> Answer {
    let text = format!("{message}{more}");
    let structured = value(&SessionDone {
        sandbox_id: found.core.id.clone(),
        session_id,
        running: state.running,
        exit_code: state.exit_code,
        output: state.output,
        next_offset: state.next_offset,
        success: true,
        message,
    });
    Answer::new(structured, text)
}

fn demand(asked: &ExecSession) -> Result<(), Failure> {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let needs = |parameter| {
        let message = format!("{parameter} is required for {} action", asked.action);
        Err(Failure::needs(message, Missing::of("exec_session", parameter)))
    };
    match asked.action {
        SessionAction::Start if !is_given(&asked.command) => needs("command"),
        SessionAction::Poll | SessionAction::Stdin | SessionAction::Kill
            if !is_given(&asked.session_id) =>
        {
            needs("session_id")
        }
        SessionAction::Stdin if asked.input.is_none() => needs("input"),
        _ => Ok(()),
    }
}

fn of(session: &str, error: RequestError) -> Failure {
    let next = match error.status() {
        Some(404) => Some("Sessions end with kill and with their sandbox; start another."),
        Some(410) => Some("The command has ended; poll tells how."),
        _ => None,
    };
    let failure = Failure::from(error);
    let failure = Failure { message: format!("session {session}: {}", failure.message), ..failure };
    match next {
        Some(next) => failure.next(next),
        None => failure,
    }
}

async fn start(
    context: Context<'_>,
    found: &Sandbox,
    asked: ExecSession,
) -> Result<Answer, Failure> {
    let session = Session::open(context, found).await?;
    let sessions = context.client.sessions(found)?;
    if let Some(folder) = asked.working_directory.filter(|folder| !folder.is_empty()) {
        enter(&sessions, &session.name, &folder).await?;
    }
    sessions.begin(&session.name, &asked.command.unwrap_or_default()).await?;
    let name = session.keep();
    let message = format!("Started session {name}");
    Ok(done(found, name, State::running(), message, ". Use poll to read its output."))
}

/// The command that was started last, and its exit code if it has ended.
async fn last_command(
    sessions: &Sessions<'_>,
    name: &str,
) -> Result<(String, Option<i32>), Failure> {
    let session = sessions.get(name).await.map_err(|error| of(name, error))?;
    let command = session.commands.into_iter().next_back();
    let command = command.ok_or_else(|| Failure::new(format!("session {name} ran nothing")))?;
    Ok((command.id, command.exit_code))
}

async fn poll(
    context: Context<'_>,
    found: &Sandbox,
    sessions: &Sessions<'_>,
    name: String,
    offset: Option<u64>,
) -> Result<Answer, Failure> {
    // First whether it has ended: whatever is in the log afterwards is then all of it.
    let (command, exit_code) = last_command(sessions, &name).await?;
    // Who does not say from where wants to see the end.
    let part = offset.map_or(LogPart::Last, LogPart::From);
    let limit = context.settings.output.command_bytes;
    let log = sessions.log(&name, &command, part, limit).await;
    let SessionLogPiece { output, offset: from, next_offset: to, length } =
        log.map_err(|error| of(&name, error))?;
    let running = exit_code.is_none();
    let message = match exit_code {
        None => String::from("The command is running"),
        Some(code) => format!("The command ended with exit code {code}"),
    };
    let mut more = String::new();
    if offset.is_none() && from > 0 {
        more.push_str(&format!(
            " [the last {} of {length} bytes; offset 0 is the beginning]",
            to.saturating_sub(from)
        ));
    } else if to < length {
        more.push_str(&format!(" [{} bytes more: poll with offset {to}]", length - to));
    } else {
        more.push_str(&format!(" [next offset {to}]"));
    }
    if !output.is_empty() {
        more.push('\n');
        more.push_str(&output);
    }
    let state = State { running, exit_code, output, next_offset: to };
    Ok(done(found, name, state, message, &more))
}
