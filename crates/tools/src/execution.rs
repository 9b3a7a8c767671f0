//! Commands and code, waited for.
//!
//! A Pitlane server tells both outputs as they come and ends what nobody listens to. Every other server of the Daytona API
//! has sessions, which keep both outputs apart, too, and are deleted when nobody listens.

use std::time::Duration;

use pitlane_client::{
    CodeRunRequest, ExecuteRequest, Execution, Frame, RequestError, StreamRequest,
};
use pitlane_wire::control::Sandbox;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior};

use crate::capture::Capture;
use crate::failure::{Failure, Partial};
use crate::input::{ExecuteCode, ExecuteShell};
use crate::output::Executed;
use crate::shape::value;
use crate::tools::Context;
use crate::{Answer, ResourceLink, file, sandbox};

/// What a command that ran too long is said to have ended with, as `timeout` does it.
const TIMED_OUT: i32 = 124;

/// How often it is told that something still runs.
const TICK: Duration = Duration::from_secs(1);

/// What is to be run.
enum Program {
    Shell(String),
    Code { code: String, language: &'static str },
}

/// How it went.
struct Ended {
    exit_code: i32,
    capture: Capture,
    seconds: f64,
}

/// One run's surroundings.
struct Run<'a> {
    context: Context<'a>,
    sandbox: &'a Sandbox,
    folder: Option<String>,
    limit: Duration,
    began: Instant,
}

pub(crate) async fn shell(context: Context<'_>, asked: ExecuteShell) -> Result<Answer, Failure> {
    let ExecuteShell { sandbox_id, command, working_directory, timeout } = asked;
    let program = Program::Shell(command);
    Box::pin(perform(context, &sandbox_id, program, working_directory, timeout, "Command")).await
}

pub(crate) async fn code(context: Context<'_>, asked: ExecuteCode) -> Result<Answer, Failure> {
    let ExecuteCode { sandbox_id, code, language, working_directory, timeout } = asked;
    let language = language.as_deref().unwrap_or(&context.settings.default_language);
    let program = Program::Code { code, language: sandbox::known_language(language)? };
    Box::pin(perform(context, &sandbox_id, program, working_directory, timeout, "Code")).await
}

async fn perform(
    context: Context<'_>,
    id: &str,
    program: Program,
    folder: Option<String>,
    seconds: Option<u32>,
    what: &str,
) -> Result<Answer, Failure> {
    // Of a sandbox that was used a moment ago it is known where it is.
    if let Some(known) = context.known(id).filter(|_| !context.is_plain()) {
        let run = Run::new(context, &known, folder.clone(), seconds);
        match context.client.run(&known, &run.request(&program)).await {
            Ok(execution) => {
                let ended = run.listen(execution).await?;
                return Ok(run.answer(ended, what));
            }
            // It has stopped or is gone. Nothing was begun.
            Err(RequestError::Refused { .. }) => context.forget(id),
            Err(failure) => return Err(failure.into()),
        }
    }
    let found = find(context, id).await?;
    let run = Run::new(context, &found, folder, seconds);
    let ended = run.run(program).await?;
    context.remember(&found);
    Ok(run.answer(ended, what))
}

async fn find(context: Context<'_>, id: &str) -> Result<Sandbox, Failure> {
    let limit = context.settings.timeout;
    let found = tokio::time::timeout(limit, sandbox::find_running(context, id)).await;
    found.unwrap_or_else(|_elapsed| {
        Err(Failure::new(format!("the sandbox was not there within {} s", limit.as_secs())))
    })
}

/// What a plain command of the other tool set came to.
pub(crate) async fn outcome(
    context: Context<'_>,
    found: &Sandbox,
    command: String,
) -> Result<(i32, String, String), Failure> {
    let run = Run::new(context, found, None, None);
    let ended = run.run(Program::Shell(command)).await?;
    let (stdout, stderr) = ended.capture.texts();
    Ok((ended.exit_code, stdout, stderr))
}

impl<'a> Run<'a> {
    fn new(
        context: Context<'a>,
        sandbox: &'a Sandbox,
        folder: Option<String>,
        seconds: Option<u32>,
    ) -> Self {
        let asked = seconds.filter(|seconds| *seconds > 0).map(u64::from).map(Duration::from_secs);
        let limit = asked.unwrap_or(context.settings.timeout);
        let folder = folder.filter(|folder| !folder.is_empty());
        Self { context, sandbox, folder, limit, began: Instant::now() }
    }

    async fn run(&self, program: Program) -> Result<Ended, Failure> {
        if !self.context.is_plain() {
            match self.context.client.run(self.sandbox, &self.request(&program)).await {
                Ok(execution) => return self.listen(execution).await,
                // Another server has no such operation, or there is no such sandbox: what comes next tells which.
                Err(RequestError::Refused { status: 404 | 405 | 501, .. }) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let mut capture = self.capture();
        let work = async {
            match program {
                Program::Code { code, language: "typescript" } => {
                    self.run_plainly(code, &mut capture).await
                }
                Program::Code { code, language } => {
                    self.run_file(code, language, &mut capture).await
                }
                Program::Shell(command) => self.run_in_session(&command, &mut capture).await,
            }
        };
        let exit_code = tokio::select! {
            exit_code = work => exit_code?,
            () = self.tell_until_late() => return Err(self.too_late(&Capture::new(0, self.context.room()))),
        };
        self.context.set_plain();
        Ok(Ended { exit_code, capture, seconds: self.began.elapsed().as_secs_f64() })
    }

    fn capture(&self) -> Capture {
        Capture::new(self.context.settings.output.command_bytes, self.context.room())
    }

    fn request(&self, program: &Program) -> StreamRequest {
        match program {
            Program::Shell(command) => StreamRequest::Command(ExecuteRequest {
                command: command.clone(),
                cwd: self.folder.clone(),
                ..ExecuteRequest::default()
            }),
            Program::Code { code, language } => StreamRequest::Code(CodeRunRequest {
                code: self.in_folder(code, language),
                language: (*language).to_owned(),
                ..CodeRunRequest::default()
            }),
        }
    }

    /// The interface runs code in the sandbox's own folder only, so the code itself goes elsewhere first. Folder and code
    /// are literals of the language: nothing in them can end the literal.
    fn in_folder(&self, code: &str, language: &str) -> String {
        let Some(folder) = &self.folder else { return code.to_owned() };
        let folder = literal(folder);
        if language == "python" {
            // As a text of its own the code keeps its line numbers and its imports from the future.
            let code = literal(code);
            return format!(
                "__import__('os').chdir({folder})\n\
                 exec(compile({code}, '<stdin>', 'exec', dont_inherit=True))\n"
            );
        }
        format!("process.chdir({folder});{code}")
    }

    /// Reads output until the end; dropping this ends the command.
    async fn listen(&self, mut execution: Execution<'_>) -> Result<Ended, Failure> {
        let mut capture = self.capture();
        let deadline = self.began + self.limit;
        let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        loop {
            let frame = tokio::select! {
                biased;
                frame = execution.next() => frame?,
                () = tokio::time::sleep_until(deadline) => return Err(self.too_late(&capture)),
                _ = ticks.tick() => {
                    let line = capture.last_line();
                    if capture.total() == told || line.is_empty() {
                        self.context.report(&self.still_running());
                    } else {
                        self.context.report(&line);
                    }
                    told = capture.total();
                    continue;
                }
            };
            match frame {
                Frame::Stdout(bytes) => capture.stdout(&bytes),
                Frame::Stderr(bytes) => capture.stderr(&bytes),
                Frame::Exit(exit_code) => {
                    let seconds = self.began.elapsed().as_secs_f64();
                    return Ok(Ended { exit_code, capture, seconds });
                }
                Frame::Failure(why) => return Err(self.ended_early(why, 1, &capture)),
            }
        }
    }

    /// Tells that something still runs, as long as it may.
    async fn tell_until_late(&self) {
        let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
        while self.began.elapsed() + TICK < self.limit {
            ticks.tick().await;
            self.context.report(&self.still_running());
        }
        tokio::time::sleep_until(self.began + self.limit).await;
    }

    fn still_running(&self) -> String {
        format!("running for {} s", self.began.elapsed().as_secs())
    }

    fn too_late(&self, capture: &Capture) -> Failure {
        let why = format!("it was ended after {} s", self.limit.as_secs());
        self.ended_early(why, TIMED_OUT, capture)
            .next("Give a longer timeout, or use exec_session for what takes long.")
    }

    fn ended_early(&self, why: String, exit_code: i32, capture: &Capture) -> Failure {
        let (stdout, stderr) = capture.texts();
        let stderr = if stderr.is_empty() { why.clone() } else { stderr };
        let seconds = self.began.elapsed().as_secs_f64();
        let partial = Box::new(Partial { exit_code, stdout, stderr, seconds });
        Failure { partial: Some(partial), ..Failure::new(why) }
    }

    /// Runs a command in a session of its own, which goes with whoever waits for it.
    async fn run_in_session(&self, command: &str, capture: &mut Capture) -> Result<i32, Failure> {
        let session = Session::open(self.context, self.sandbox).await?;
        let sessions = self.context.client.sessions(self.sandbox)?;
        if let Some(folder) = &self.folder {
            enter(&sessions, &session.name, folder).await?;
        }
        // `exit` ends a shell of its own and not the session's, which would lose the exit code.
        let line = format!("\"${{BASH:-sh}}\" -c {}", quoted(command));
        let ran = sessions.run(&session.name, &line).await?;
        capture.stdout(ran.stdout.unwrap_or_default().as_bytes());
        capture.stderr(ran.stderr.unwrap_or_default().as_bytes());
        session.close().await;
        ran.exit_code.ok_or_else(|| Failure::new("the server did not say how the command ended"))
    }

    /// Runs code out of a file of its own name, so that no shell reads it.
    async fn run_file(
        &self,
        code: String,
        language: &str,
        capture: &mut Capture,
    ) -> Result<i32, Failure> {
        let path = format!("/tmp/pitlane-{}", crate::random_name());
        file::put(self.context, self.sandbox, &path, code).await?;
        let interpreter = if language == "python" { "python3 -u -" } else { "node -" };
        let ran = self.run_in_session(&format!("exec {interpreter} < {path}"), capture).await;
        // What is left there does no harm.
        drop(self.context.client.files(self.sandbox)?.remove(&path, false).await);
        ran
    }

    /// Runs code through the operation that every server has, whose outputs are one.
    async fn run_plainly(&self, code: String, capture: &mut Capture) -> Result<i32, Failure> {
        let language = "typescript";
        let request = CodeRunRequest {
            code: self.in_folder(&code, language),
            language: language.to_owned(),
            // Nobody else would end it.
            timeout: i64::try_from(self.limit.as_secs()).ok(),
            ..CodeRunRequest::default()
        };
        let ran = self.context.client.run_code(self.sandbox, &request).await?;
        capture.stdout(ran.result.as_bytes());
        Ok(ran.exit_code)
    }

    fn answer(&self, ended: Ended, what: &str) -> Answer {
        let Ended { exit_code, capture, seconds } = ended;
        let message = if exit_code == 0 {
            format!("{what} executed successfully")
        } else {
            format!("{what} execution failed")
        };
        let (stdout, stderr) = capture.texts();
        let left_out = capture.left_out();
        let mut text = format!("{message} (exit code {exit_code}, {seconds:.2} s)");
        let mut links = Vec::new();
        if left_out > 0 {
            let id = &self.sandbox.core.id;
            let total = capture.total();
            let (kept, dropped) = capture.into_kept();
            let name = self.context.logs().keep(id, kept, dropped);
            let uri = format!("sandbox://{id}/logs/{name}");
            text.push_str(&format!(
                "\n[only the end is shown, {left_out} of {total} bytes are left out: read the resource {uri}, or run it \
                 again with its output in a file, and read that with file_operation]"
            ));
            links.push(ResourceLink {
                uri,
                name: format!("output {name}"),
                description: format!("The whole output, {total} bytes"),
                media_type: Some("text/plain"),
            });
        }
        for (name, said) in [("stdout", &stdout), ("stderr", &stderr)] {
            if !said.is_empty() {
                text.push_str(&format!("\n{name}:\n{said}"));
            }
        }
        if stdout.is_empty() && stderr.is_empty() {
            text.push_str("\n(no output)");
        }
        let structured = value(&Executed {
            sandbox_id: self.sandbox.core.id.clone(),
            exit_code,
            stdout,
            stderr,
            execution_time: seconds,
            message,
        });
        Answer { links, ..Answer::new(structured, text) }
    }
}

/// A session of a call's own; deleted with it, and with it everything that runs in it.
pub(crate) struct Session<'a> {
    context: Context<'a>,
    sandbox: &'a Sandbox,
    pub(crate) name: String,
    is_open: bool,
}

impl<'a> Session<'a> {
    pub(crate) async fn open(context: Context<'a>, sandbox: &'a Sandbox) -> Result<Self, Failure> {
        let name = format!("tool-{}", crate::random_name());
        // From here on: a request that is given up may have had its effect.
        let session = Self { context, sandbox, name, is_open: true };
        context.client.sessions(sandbox)?.create(&session.name).await?;
        Ok(session)
    }

    async fn close(mut self) {
        if let Ok(sessions) = self.context.client.sessions(self.sandbox) {
            // The guard tries again otherwise.
            self.is_open = sessions.delete(&self.name).await.is_err();
        }
    }

    /// Leaves it to others.
    pub(crate) fn keep(mut self) -> String {
        self.is_open = false;
        std::mem::take(&mut self.name)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let (sandbox, name) = (self.sandbox.clone(), std::mem::take(&mut self.name));
        self.context.clean_up(|client| {
            Box::pin(async move {
                let Ok(sessions) = client.sessions(&sandbox) else { return };
                if let Err(error) = sessions.delete(&name).await {
                    tracing::warn!(session = %name, %error, "a command may run on");
                }
            })
        });
    }
}

/// Makes a session go to a folder.
pub(crate) async fn enter(
    sessions: &pitlane_client::Sessions<'_>,
    session: &str,
    folder: &str,
) -> Result<(), Failure> {
    let went = sessions.run(session, &format!("cd -- {}", quoted(folder))).await?;
    if went.exit_code == Some(0) {
        return Ok(());
    }
    let why = went.stderr.or(went.output).unwrap_or_default();
    Err(Failure::new(format!("cannot go to the folder {folder}: {}", why.trim())))
}

/// A text as one word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text as a literal of Python and JavaScript, whose escapes are those of JSON.
fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quoted_text_is_one_word_and_nothing_else(text in "[^\\x00]{0,40}") {
            let word = quoted(&text);
            // Between single quotes a shell knows nothing but their end.
            let inner = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap();
            prop_assert_eq!(inner.replace(r"'\''", "\u{0}").contains('\''), false);
            prop_assert_eq!(inner.replace(r"'\''", "'"), text);
        }

        #[test]
        fn a_literal_has_no_line_end_and_no_open_quote(text in any::<String>()) {
            let literal = literal(&text);
            prop_assert!(!literal.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text);
        }
    }
}
