//! A server of a test's own, with real sandboxes, that can be killed and started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use crate::client::Client;

/// A server's folders and, while it runs, its process.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    program: PathBuf,
    arguments: Vec<String>,
    running: Mutex<Option<Running>>,
}

struct Running {
    process: Child,
    client: Client,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn named(variable: &str, otherwise: PathBuf) -> PathBuf {
    std::env::var_os(variable).map_or(otherwise, PathBuf::from)
}

/// Makes a cache of a server's own, in which are the images that all tests share.
fn own_images(shared: &Path, own: &Path) {
    std::fs::create_dir_all(own).unwrap();
    for entry in std::fs::read_dir(shared).into_iter().flatten().flatten() {
        let is_recipe = ["default-", "minimal-"]
            .iter()
            .any(|image| entry.file_name().to_string_lossy().starts_with(image));
        let link = own.join(entry.file_name());
        if is_recipe && entry.path().join("image.json").exists() && !link.exists() {
            std::os::unix::fs::symlink(entry.path(), link).unwrap();
        }
    }
    let has_minimal = std::fs::read_dir(own)
        .unwrap()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("minimal-"));
    assert!(has_minimal, "no image \"minimal\" in {}: make debug", shared.display());
}

impl Server {
    /// A server that has not been started. It keeps as many sandboxes waiting as `prepared` says.
    pub(crate) fn new(prepared: u32) -> Self {
        Self::in_folder(
            tempfile::Builder::new().prefix("pitlane-crash-").tempdir().unwrap(),
            prepared,
        )
    }

    /// A server whose folders are in a certain one.
    pub(crate) fn in_folder(folder: tempfile::TempDir, prepared: u32) -> Self {
        let daemon = repository().join("target/x86_64-unknown-linux-musl/debug/pitlane-daemon");
        let daemon = named("PITLANE_DAEMON", daemon);
        assert!(daemon.exists(), "no daemon at {}: cargo xtask daemon", daemon.display());
        let images = folder.path().join("images");
        own_images(&named("PITLANE_IMAGE_CACHE", repository().join(".cache/images")), &images);
        let pairs = [
            ("--listen", String::from("127.0.0.1:0")),
            ("--log", String::from("info")),
            ("--image", String::from("minimal")),
            ("--uplink", String::from("none")),
            ("--prepared", prepared.to_string()),
            ("--daemon", daemon.display().to_string()),
            ("--image-cache", images.display().to_string()),
            ("--registry-plain", crate::registries::registry().to_owned()),
        ];
        let arguments = pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        Self {
            folder,
            program: named("PITLANE_BIN", PathBuf::from(env!("CARGO_BIN_EXE_pitlane"))),
            arguments: arguments.collect(),
            running: Mutex::new(None),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.folder().join("run")
    }

    /// Its images, among them those that it makes.
    pub(crate) fn images(&self) -> PathBuf {
        self.folder().join("images")
    }

    /// What tells this server's traces on the machine from others'.
    pub(crate) fn id(&self) -> String {
        let id = Sha256::digest(self.state().as_os_str().as_encoded_bytes());
        id.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Keeps so many sandboxes waiting from its next start on.
    pub(crate) fn keep_ready(&mut self, prepared: u32) {
        self.set("--prepared", prepared.to_string());
    }

    /// Keeps the address that it has from its next start on.
    pub(crate) fn stay(&mut self) {
        let address = self.client().address;
        self.set("--listen", address);
    }

    /// Also asks this registry from its next start on.
    pub(crate) fn ask_registry(&mut self, name: &str) {
        self.set("--registry-plain", format!("{},{name}", crate::registries::registry()));
    }

    fn set(&mut self, flag: &str, value: String) {
        let place = self.arguments.iter().position(|argument| argument == flag).unwrap();
        self.arguments[place + 1] = value;
    }

    /// Tells it more from its next start on.
    pub(crate) fn say(&mut self, arguments: &[&str]) {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    }

    /// The daemon's program.
    pub(crate) fn daemon(&self) -> PathBuf {
        let place = self.arguments.iter().position(|argument| argument == "--daemon").unwrap();
        PathBuf::from(&self.arguments[place + 1])
    }

    /// Gives sandboxes another daemon from its next start on.
    pub(crate) fn use_daemon(&mut self, daemon: &Path) {
        self.set("--daemon", daemon.display().to_string());
    }

    /// Starts a command of the command line against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Child {
        Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("PITLANE_STATE", self.state())
            .env("XDG_CONFIG_HOME", "/nowhere")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Its program, for another one to take its place.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn become_program(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// Starts it; `false` if it ended before it was ready.
    pub(crate) fn try_start(&self, variables: &[(&str, &str)]) -> bool {
        let log =
            OpenOptions::new().create(true).append(true).open(self.folder().join("log")).unwrap();
        let mut process = Command::new(&self.program)
            .args(["serve", "--json", "--state"])
            .arg(self.state())
            .arg("--run-dir")
            .arg(self.run())
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(address) = said["url"].as_str().and_then(|url| url.strip_prefix("http://")) else {
            process.wait().unwrap();
            return false;
        };
        let address = address.split('/').next().unwrap().to_owned();
        let key = std::fs::read_to_string(self.state().join("admin-key")).unwrap();
        let client = Client { address, key: key.trim().to_owned() };
        *self.running.lock().unwrap() = Some(Running { process, client });
        true
    }

    /// Starts it.
    pub(crate) fn start(&self) {
        assert!(self.try_start(&[]), "the server does not start:\n{}", self.last_words());
    }

    /// The client of the server that runs.
    pub(crate) fn client(&self) -> Client {
        self.running.lock().unwrap().as_ref().expect("it runs").client.clone()
    }

    /// The client of the server, unless it is between two lives.
    pub(crate) fn try_client(&self) -> Option<Client> {
        Some(self.running.lock().unwrap().as_ref()?.client.clone())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.lock().unwrap().as_ref().expect("it runs").process.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_died(&self) -> bool {
        self.running
            .lock()
            .unwrap()
            .as_mut()
            .is_none_or(|running| running.process.try_wait().unwrap().is_some())
    }

    /// Kills it as `kill -9` does, if it is not dead, and answers how it ended.
    pub(crate) fn kill(&self) -> ExitStatus {
        let running = self.running.lock().unwrap().take();
        let mut running = running.expect("it was started");
        drop(running.process.kill());
        running.process.wait().unwrap()
    }

    /// Ends it as an operator does.
    pub(crate) fn terminate(&self) {
        let mut running = self.running.lock().unwrap().take().expect("it runs");
        signal("TERM", running.process.id());
        let ended = running.process.wait().unwrap();
        assert!(ended.success(), "{:?}:\n{}", ended.signal(), self.last_words());
    }

    /// The end of what it has logged.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// What it has logged about a sandbox, and between which lives.
    pub(crate) fn words_about(&self, id: &str) -> String {
        let log = self.log();
        let is_about = |line: &&str| {
            line.contains(id) || line.contains("\"ready\"") || line.contains("launcher")
        };
        let lines: Vec<&str> = log.lines().filter(is_about).collect();
        lines[lines.len().saturating_sub(200)..].join("\n")
    }

    /// Everything it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Starts a new log.
    pub(crate) fn forget_log(&self) {
        drop(File::create(self.folder().join("log")).unwrap());
    }

    /// Its launcher's process, if there is one.
    pub(crate) fn launcher(&self) -> Option<u32> {
        let run = self.run();
        let run = run.to_str().unwrap();
        std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line);
            let is_it = line.split('\0').any(|argument| argument == "launch")
                && line.split('\0').any(|argument| argument == run);
            is_it.then(|| entry.file_name().to_str()?.parse().ok())?
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failed test: nothing of it stays on the machine.
        if let Some(mut running) = self.running.lock().unwrap().take() {
            drop(running.process.kill());
            drop(running.process.wait());
        }
        crate::traces::remove_all(self);
    }
}

/// Sends a signal to a process that this test, or its server, started.
pub(crate) fn signal(name: &str, pid: u32) {
    Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
}
