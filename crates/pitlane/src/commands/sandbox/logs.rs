//! `pitlane sandbox logs`: what became of a sandbox, from the server.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use pitlane_client::Client;
use pitlane_wire::control::SandboxLogLine;

use super::find::find;
use super::when::minutes;
use crate::commands::completion::sandbox_names;
use crate::commands::execution::Interruption;
use crate::commands::wait;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Screen, say};
use crate::table::plain;

/// How long a server is asked to wait for more before it is asked again.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its id, the beginning of its id, or its name
    #[arg(add = sandbox_names())]
    sandbox: String,
    /// Go on until it is deleted or Ctrl-C is pressed
    #[arg(long, short)]
    follow: bool,
    /// Only what happened so long ago or later, such as 30m, 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    since: Option<i64>,
}

/// Tells the changes of a sandbox's state, a line each; in JSON a text each.
pub(super) fn logs(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let screen = Screen::of_output();
    let begin = arguments.since.and_then(|minutes| {
        Timestamp::now().checked_sub(jiff::SignedDuration::from_mins(minutes)).ok()
    });
    wait(async {
        let mut interruption = Interruption::watch()?;
        let work = async {
            let id = find(client, &arguments.sandbox).await?.core.id;
            let mut last = 0;
            let mut wait = Duration::ZERO;
            loop {
                let lines = match client.sandbox_log(&id, last, wait).await {
                    Ok(lines) => lines,
                    // It was there before: it has been deleted, and its log with it.
                    Err(gone) if last > 0 && gone.status() == Some(404) => return Ok(()),
                    Err(failure) => return Err(failure.into()),
                };
                for line in lines {
                    last = line.number;
                    if !is_before(&line, begin) {
                        format.write_line(&line, |line| text(line, screen))?;
                    }
                }
                if !arguments.follow {
                    if last == 0 && format == Format::Human {
                        say("no change of its state is known");
                    }
                    return Ok(());
                }
                wait = WAIT;
            }
        };
        tokio::select! {
            told = work => told.map(|()| ExitCode::SUCCESS),
            _ = interruption.wait() => Ok(Exit::Interrupted.into()),
        }
    })
}

fn is_before(line: &SandboxLogLine, begin: Option<Timestamp>) -> bool {
    let at = line.at.parse::<Timestamp>();
    begin.is_some_and(|begin| at.is_ok_and(|at| at < begin))
}

fn text(line: &SandboxLogLine, screen: Option<Screen>) -> String {
    let by = match line.by.as_str() {
        "caller" => "by a caller",
        "timer" => "by a timer",
        "sandbox" => "by itself",
        "server" => "by the server",
        other => other,
    };
    let state = format!("{:<10}", plain(&line.state, false));
    let state = match screen {
        Some(Screen { has_colours: true, .. }) => super::list::colour(Some(&line.state))
            .map_or(state.clone(), |colour| colour.paint(&state)),
        Some(_) | None => state,
    };
    let reason = line.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}  {state}  {}", plain(&line.at, false), plain(&format!("{by}{reason}"), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_what_by_whom_and_why() {
        let line = |state: &str, by: &str, reason: Option<&str>| SandboxLogLine {
            number: 1,
            at: "2026-11-21T05:00:00.000Z".into(),
            state: state.into(),
            by: by.into(),
            reason: reason.map(str::to_owned),
        };
        let reason = Some("signal 9 ended its process 1");
        assert_eq!(
            [line("started", "caller", None), line("stopping", "sandbox", reason)]
                .map(|line| text(&line, None)),
            [
                "2026-11-21T05:00:00.000Z  started     by a caller",
                "2026-11-21T05:00:00.000Z  stopping    by itself: signal 9 ended its process 1"
            ]
        );
    }
}
