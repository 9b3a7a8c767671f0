//! The program under test: a server of a test's own, and the commands run against it.
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the program it tests, told by variables which"
)]
#![expect(dead_code, reason = "each of the tests' programs uses a part of it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What came of a command: its code, what it wrote, what it said beside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome(pub(crate) i32, pub(crate) String, pub(crate) String);

pub(crate) fn outcome(code: i32, written: &str, said: &str) -> Outcome {
    Outcome(code, written.to_owned(), said.to_owned())
}

/// A server with a state folder of its own, which goes away with it.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    process: Option<Child>,
    ready_line: String,
}

impl Server {
    /// A server whose sandboxes are made up.
    pub(crate) fn fake() -> Self {
        Self::start(&["--driver", "fake"])
    }

    /// The same with more settings.
    pub(crate) fn fake_with(more: &[&str]) -> Self {
        Self::start(&[&["--driver", "fake"], more].concat())
    }

    /// What the server said when it was ready.
    pub(crate) fn ready_line(&self) -> &str {
        &self.ready_line
    }

    /// A server that makes real sandboxes of the small image, unless another is named.
    pub(crate) fn real(more: &[&str]) -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let daemon = named(
            "PITLANE_DAEMON",
            &root.join("target/x86_64-unknown-linux-musl/debug/pitlane-daemon"),
        );
        assert!(
            Path::new(&daemon).exists(),
            "no daemon at {daemon}: run `cargo xtask daemon`, or set PITLANE_DAEMON"
        );
        let images = named("PITLANE_IMAGE_CACHE", &root.join(".cache/images"));
        let image: &[&str] = if more.contains(&"--image") { &[] } else { &["--image", "minimal"] };
        let arguments = ["--daemon", &daemon, "--image-cache", &images, "--prepared", "1"];
        Self::start(&[&arguments, image, more].concat())
    }

    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { folder, arguments, process: None, ready_line: String::new() };
        server.start_again();
        server
    }

    /// The server's process.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Starts the server on the state it left, and returns when it is ready.
    pub(crate) fn start_again(&mut self) {
        let mut process = program(&[])
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--json",
                "--log",
                "warn",
                "--state",
                &self.state(),
            ])
            .arg("--run-dir")
            .arg(self.folder.path().join("run"))
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.process = Some(process);
        assert!(
            line.starts_with("{\"url\":\"http://127.0.0.1:"),
            "the server is not ready: {line:?}"
        );
        self.ready_line = line;
    }

    /// Sends a signal and waits for the server's end.
    pub(crate) fn end(&mut self, signal: &str) -> std::process::ExitStatus {
        let mut process = self.process.take().unwrap();
        send(signal, &process);
        process.wait().unwrap()
    }

    /// The launchers of this server, by their command lines.
    pub(crate) fn launchers(&self) -> Vec<u32> {
        let run = self.folder.path().join("run").to_str().unwrap().to_owned();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
        let is_launcher = |number: &u32| {
            let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0).skip(1);
            words.next() == Some(b"launch") && words.any(|word| word == run.as_bytes())
        };
        numbers.filter(is_launcher).collect()
    }

    pub(crate) fn state(&self) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        folder.join("state").to_str().unwrap().to_owned()
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
        pitlane(
            &[&[("PITLANE_STATE", self.state().as_str())], variables].concat(),
            arguments,
            input,
        )
    }

    /// Runs the program under the name `daytona` against the server.
    pub(crate) fn run_as_daytona(&self, arguments: &[&str]) -> Outcome {
        let name = self.folder.path().join("daytona");
        let binary = named("PITLANE_BIN", Path::new(env!("CARGO_BIN_EXE_pitlane")));
        drop(std::os::unix::fs::symlink(binary, &name));
        let mut command = clean(&name, &[("PITLANE_STATE", self.state().as_str())]);
        ended(command.args(arguments), "")
    }

    /// Starts a command against the server, whose input is empty and whose output can be read while it runs.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        program(&[("PITLANE_STATE", self.state().as_str())])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Sandboxes would outlive a server that is killed.
        send("TERM", &process);
        drop(process.wait());
    }
}

/// Sends a signal to a process.
pub(crate) fn send(signal: &str, process: &Child) {
    let sent =
        Command::new("kill").args(["-s", signal, &process.id().to_string()]).status().unwrap();
    assert!(sent.success(), "cannot send {signal}");
}

/// Runs a command to its end, without the variables and settings of whoever runs the tests.
pub(crate) fn pitlane(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Outcome {
    ended(program(variables).args(arguments), input)
}

fn ended(command: &mut Command, input: &str) -> Outcome {
    let mut process = command
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
    let binary = named("PITLANE_BIN", Path::new(env!("CARGO_BIN_EXE_pitlane")));
    clean(Path::new(&binary), variables)
}

fn clean(binary: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("XDG_CONFIG_HOME", "/nowhere")
        .envs(variables.iter().copied());
    command
}

fn named(variable: &str, otherwise: &Path) -> String {
    std::env::var(variable).unwrap_or_else(|_| otherwise.to_str().unwrap().to_owned())
}
