//! A server of a test's own, and the commands run against it.
#![expect(clippy::disallowed_methods, reason = "a test starts the program it tests")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use crate::Outcome;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    state: String,
    process: Option<Child>,
}

impl Server {
    /// Starts a server and returns when it is ready.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state =
            folder.path().canonicalize().unwrap().join("state").to_str().unwrap().to_owned();
        let mut server = Self { folder, state, process: None };
        server.start_again();
        server
    }

    pub(crate) fn start_again(&mut self) {
        let mut process = program(&[])
            .args([
                "serve",
                "--driver",
                "fake",
                "--listen",
                "127.0.0.1:0",
                "--json",
                "--log",
                "warn",
                "--state",
            ])
            .arg(&self.state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.process = Some(process);
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(ready["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
    }

    /// Sends SIGTERM and waits for a good end.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let killed = Command::new("kill").arg(process.id().to_string()).status().unwrap();
        assert!(killed.success() && process.wait().unwrap().success());
    }

    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Runs a command against the server.
    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Outcome {
        self.run_with(&[], arguments, input)
    }

    pub(crate) fn run_with(
        &self,
        variables: &[(&str, &str)],
        arguments: &[&str],
        input: &str,
    ) -> Outcome {
        pitlane(&[&[("PITLANE_STATE", self.state())], variables].concat(), arguments, input)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.kill());
            drop(process.wait());
        }
        assert!(self.folder.path().exists());
    }
}

/// Runs a command to its end, without the variables and settings of whoever runs the tests.
pub(crate) fn pitlane(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Outcome {
    let mut process = program(variables)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read its input.
    drop(process.stdin.take().unwrap().write_all(input.as_bytes()));
    let ended = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome(ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

fn program(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pitlane"));
    command.env_clear().env("XDG_CONFIG_HOME", "/nowhere").envs(variables.iter().copied());
    command
}
