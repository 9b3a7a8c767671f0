//! `pitlane sandbox shell`: a terminal in a sandbox, in this one.

mod escape;
mod keyboard;

use std::process::ExitCode;
use std::time::Duration;

use pitlane_client::{Client, NewTerminal, RequestError, Terminal, TerminalOutput};
use pitlane_wire::control::Sandbox;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval_at, timeout};

use self::escape::{Escape, Typed};
use self::keyboard::Keyboard;
use super::find::find;
use crate::cli::pair;
use crate::commands::completion::sandbox_names;
use crate::commands::execution::{Interruption, pass_on};
use crate::commands::wait;
use crate::exit::{Exit, passed_through};
use crate::failure::Failure;
use crate::output::{self, Format};

/// How often the server is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// How long a terminal that is left may take to be killed.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(after_help = "Enter ~ . leaves the terminal, also where nothing else answers any more.")]
pub(crate) struct Arguments {
    /// Its id, the beginning of its id, or its name
    #[arg(add = sandbox_names())]
    sandbox: String,
    /// Name of the terminal: it goes on when you leave it, and the same name connects to it again
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Variable that a new shell gets; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Folder that a new shell starts in [default: the sandbox's]
    #[arg(long, value_name = "DIR")]
    cwd: Option<String>,
}

/// Why a terminal is left.
enum Over {
    /// Its shell ended.
    Exited(i32),
    /// By its user.
    Left,
    /// Something else, while its shell still runs.
    Broken(Failure),
    /// This process is to end.
    Interrupted(Failure),
}

/// What there is of a terminal on both sides.
struct Session<'a> {
    client: &'a Client,
    sandbox: &'a Sandbox,
    id: &'a str,
    terminal: Terminal,
}

/// Connects this terminal to one in a sandbox, until the shell there ends.
pub(super) fn shell(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    if format == Format::Json {
        return Err(Failure::new("a terminal has no JSON").exit(Exit::Usage));
    }
    if !Keyboard::is_there() {
        return Err(Failure::new("standard input is no terminal")
            .hint("without one, use `pitlane sandbox exec SANDBOX -- COMMAND`")
            .exit(Exit::Usage));
    }
    wait(async {
        let mut interruption = Interruption::watch()?;
        let sandbox = find(client, &arguments.sandbox).await?;
        let id = match &arguments.id {
            Some(id) => id.clone(),
            None => format!("shell-{:016x}", getrandom::u64()?),
        };
        let terminal = open(client, &sandbox, &id, arguments).await?;
        let mut session = Session { client, sandbox: &sandbox, id: &id, terminal };
        let over = {
            let mut keyboard = Keyboard::take()?;
            session.run(&mut keyboard, &mut interruption).await?
        };
        // This terminal is as it was before from here on.
        session.finish(over, arguments.id.is_some(), &arguments.sandbox).await
    })
}

async fn open(
    client: &Client,
    sandbox: &Sandbox,
    id: &str,
    arguments: &Arguments,
) -> Result<Terminal, Failure> {
    let (columns, rows) = keyboard::size();
    if arguments.id.is_some() {
        match client.connect_terminal(sandbox, id).await {
            Err(RequestError::Refused { status: 404, .. }) => {}
            connected => {
                let connected = connected?;
                client.resize_terminal(sandbox, id, columns, rows).await?;
                return Ok(connected);
            }
        }
    }
    let new = NewTerminal {
        id: id.to_owned(),
        columns,
        rows,
        folder: arguments.cwd.clone(),
        variables: arguments.env.iter().cloned().collect(),
    };
    Ok(client.make_terminal(sandbox, &new).await?)
}

impl Session<'_> {
    async fn run(
        &mut self,
        keyboard: &mut Keyboard,
        interruption: &mut Interruption,
    ) -> Result<Over, Failure> {
        let mut resized = signal(SignalKind::window_change())?;
        let mut continued = continued()?;
        let mut ping = interval_at(Instant::now() + PING, PING);
        let mut escape = Escape::default();
        loop {
            let typed = tokio::select! {
                output = self.terminal.next() => match output {
                    Ok(TerminalOutput::Bytes(bytes)) => {
                        match pass_on(bytes.into(), output::write).await {
                            Ok(()) => continue,
                            Err(failure) => return Ok(Over::Interrupted(failure)),
                        }
                    }
                    Ok(TerminalOutput::Exited(exit)) => return Ok(Over::Exited(exit.exit_code)),
                    Ok(TerminalOutput::Failed(reason)) => return Ok(Over::Broken(Failure::new(reason))),
                    Err(error) => return Ok(Over::Broken(error.into())),
                },
                typed = keyboard.read() => match typed {
                    Ok(typed) => typed,
                    Err(error) => {
                        let failure = Failure::from(error).exit(Exit::Terminated);
                        return Ok(Over::Interrupted(failure));
                    }
                },
                _ = resized.recv() => {
                    // The next change may have more luck, and a terminal that has ended says so itself.
                    let (columns, rows) = keyboard::size();
                    self.client.resize_terminal(self.sandbox, self.id, columns, rows).await.ok();
                    continue;
                }
                _ = continued.recv() => {
                    keyboard.take_again()?;
                    continue;
                }
                _ = ping.tick() => match self.terminal.ping().await {
                    Ok(()) => continue,
                    Err(error) => return Ok(Over::Broken(error.into())),
                },
                failure = interruption.wait() => return Ok(Over::Interrupted(failure)),
            };
            let sent = match escape.take(&typed) {
                Typed::Bytes(bytes) if bytes.is_empty() => Ok(()),
                Typed::Bytes(bytes) => self.terminal.send(bytes).await,
                Typed::Leave => return Ok(Over::Left),
            };
            if let Err(error) = sent {
                return Ok(Over::Broken(error.into()));
            }
        }
    }

    async fn finish(self, over: Over, is_named: bool, sandbox: &str) -> Result<ExitCode, Failure> {
        let again = format!("pitlane sandbox shell {sandbox} --id {}", self.id);
        match over {
            Over::Exited(code) => Ok(passed_through(code)),
            Over::Broken(failure) => {
                keyboard::calm();
                Err(failure
                    .hint(format!("if the shell still runs, `{again}` connects to it again")))
            }
            Over::Left => {
                keyboard::calm();
                if is_named {
                    output::say(&format!("left the terminal: `{again}` connects to it again"));
                } else {
                    self.kill().await;
                }
                Ok(ExitCode::SUCCESS)
            }
            Over::Interrupted(failure) => {
                keyboard::calm();
                if !is_named {
                    self.kill().await;
                }
                Err(failure)
            }
        }
    }

    /// Nobody knows the name of this terminal, so it would run for ever.
    async fn kill(&self) {
        let killed = self.client.kill_terminal(self.sandbox, self.id);
        // What cannot be reached cannot be killed either.
        timeout(LEAVE_DEADLINE, killed).await.ok();
    }
}

/// Tells when this process goes on after it was stopped, when whoever stopped it may have changed the terminal.
fn continued() -> std::io::Result<Signal> {
    signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))
}
