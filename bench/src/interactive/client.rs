//! A process that speaks to one server through the official SDK.

use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bare::{self, Bare};
use crate::dialogue::Dialogue;
use crate::options::Options;
use crate::program::command;
use crate::results::Run;
use crate::samples::Samples;
use crate::server::Server;

/// How sandboxes follow each other.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Sequential,
    Staggered,
    Burst,
}

/// What its sandboxes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They run nothing.
    Fake,
    Real,
}

/// What the process is asked.
#[derive(Debug, Serialize)]
struct Question {
    mode: Mode,
    count: usize,
    /// Whether it has the commands run without a sandbox before it asks for them.
    bare: bool,
}

/// What it says.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    /// It waits until this has been run without a sandbox.
    Wanted {
        bare: bare::Command,
    },
    Said(Said),
}

/// What it answers.
#[derive(Debug, Deserialize)]
struct Said {
    /// In milliseconds.
    total: Vec<f64>,
    create: Vec<f64>,
    failures: Vec<String>,
    seconds: f64,
}

/// The process.
#[derive(Debug)]
pub(super) struct Client(Dialogue);

impl Client {
    /// Starts it and waits until it has loaded the SDK, which it would do in somebody else's turn otherwise.
    pub(super) fn start(options: &Options, server: &Server, kind: Kind) -> anyhow::Result<Self> {
        let mut command = command("node", [options.script.as_os_str()]);
        command.args([server.url(), kind.name()]);
        // By its environment, so that the key is in no list of processes.
        command.env("DAYTONA_API_KEY", server.key()).stderr(Stdio::inherit());
        let mut client = Self(Dialogue::start(&mut command)?);
        client.run(Mode::Sequential, 0)?;
        Ok(client)
    }

    /// Makes so many sandboxes and runs the commands in each.
    pub(super) fn run(&mut self, mode: Mode, count: usize) -> anyhow::Result<Run> {
        self.0.ask::<Said>(&Question { mode, count, bare: false })?.try_into()
    }

    /// Makes one sandbox that runs nothing, and has the commands run without one just before it asks for them: it comes
    /// back from them as it would from a sandbox.
    pub(super) fn run_beside(&mut self, bare: &mut Bare) -> anyhow::Result<Run> {
        let mut line = self.0.ask(&Question { mode: Mode::Sequential, count: 1, bare: true })?;
        loop {
            match line {
                Line::Wanted { bare: command } => bare.run(command)?,
                Line::Said(said) => return said.try_into(),
            }
            line = self.0.ask("done")?;
        }
    }

    /// Lets it end.
    ///
    /// # Errors
    ///
    /// It did not end well; what it said of that is on standard error.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.0.end()
    }
}

impl Kind {
    /// What the script calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Fake => "fake",
            Self::Real => "real",
        }
    }
}

impl TryFrom<Said> for Run {
    type Error = anyhow::Error;

    fn try_from(said: Said) -> anyhow::Result<Self> {
        let times = |times: Vec<f64>| -> anyhow::Result<Samples> {
            times
                .into_iter()
                .map(|time| Ok(Duration::try_from_secs_f64(time / 1000.0)?))
                .collect::<anyhow::Result<Samples>>()
        };
        Ok(Self {
            total: times(said.total)?,
            create: times(said.create)?,
            failures: said.failures,
            seconds: said.seconds,
        })
    }
}
