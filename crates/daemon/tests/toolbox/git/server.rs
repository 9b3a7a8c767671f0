//! A git server over HTTP with basic authentication.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What alice and bob have to send; bob may do nothing.
pub(super) const PASSWORD: &str = "pa ss:wörd%";

/// A server and its repositories: `public/a.git` with one commit, and `private/a.git`, the same.
pub(super) struct Server {
    process: Child,
    folder: TempDir,
    scheme: &'static str,
    port: String,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::start_as("http")
    }

    pub(super) fn start_with_tls() -> Self {
        Self::start_as("https")
    }

    fn start_as(scheme: &'static str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = "export GIT_CONFIG_GLOBAL=/dev/null && git init -q -b main seed && cd seed && seq 9 > file && git add file && \
                      git -c user.name=s -c user.email=s commit -qm 'first' && git branch other && cd .. && \
                      git clone -q --bare seed public/a.git && git clone -q --bare seed private/a.git && \
                      git init -q --bare -b main private/empty.git && \
                      openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=127.0.0.1 2>/dev/null";
        run(folder.path(), script);
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/git_server.py");
        let mut command = command("python3");
        command.arg(server).arg(folder.path());
        if scheme == "https" {
            command.arg(folder.path().join("cert")).arg(folder.path().join("key"));
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut port = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut port).expect("a line");
        Self { process, folder, scheme, port: port.trim().to_owned() }
    }

    /// The address of something on it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}/{path}", self.scheme, self.port)
    }

    /// What it leads to.
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file beside its repositories.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names and passwords that were sent to it.
    pub(super) fn seen(&self) -> String {
        std::fs::read_to_string(self.path("seen")).unwrap_or_default()
    }

    /// Runs a script beside its repositories.
    pub(super) fn run(&self, script: &str) {
        run(self.folder.path(), script);
    }
}

fn run(folder: &Path, script: &str) {
    let status = command("sh").args(["-ec", script]).current_dir(folder).status();
    assert!(status.expect("a shell").success(), "{script}");
}

#[expect(clippy::disallowed_methods, reason = "this is how a process is started")]
fn command(program: &str) -> Command {
    Command::new(program)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
