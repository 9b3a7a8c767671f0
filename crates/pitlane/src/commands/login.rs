//! `pitlane login`: a server and a key, kept for later commands.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pitlane_client::{Client, Endpoint, Key};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;

use super::execution::Interruption;
use super::wait;
use crate::environment;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output::{Format, say};
use crate::settings;

/// The longest key that is read.
const MAX_KEY_BYTES: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Address of the API [default: --api-url, else http://127.0.0.1:3986/api]
    url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    url: String,
    key_name: String,
    file: PathBuf,
}

#[derive(Serialize)]
struct File<'a> {
    url: &'a str,
    key: &'a str,
}

/// Asks for a key, tries it, and keeps both where other commands look. The key comes from standard input, so that it is
/// in no list of processes and no history.
pub(crate) fn login(
    api_url: Option<&str>,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let url = arguments.url.as_deref().or(api_url).unwrap_or(settings::DEFAULT_API_URL);
    login_to(url, None, format)
}

/// The same with a key that is already known, if there is one.
pub(super) fn login_to(
    url: &str,
    known: Option<String>,
    format: Format,
) -> Result<ExitCode, Failure> {
    let usage = |error| Failure::from(anyhow::Error::new(error)).exit(Exit::Usage);
    let file = file()?;
    // A wrong address is told before a key is asked for.
    Endpoint::new(url, Key::new("k").map_err(usage)?).map_err(usage)?;
    let text = known.map_or_else(|| read_key(url), Ok)?;
    let key = text.trim();
    let endpoint = Endpoint::new(url, Key::new(key).map_err(usage)?).map_err(usage)?;
    let client = Client::new(endpoint);
    let known = wait(async { Ok(client.current_key().await?) })?;
    let url = client.endpoint().url().to_owned();
    keep(&file, &File { url: &url, key }).doing(format!("cannot write {}", file.display()))?;
    let done = LoggedIn { url, key_name: known.name, file };
    format.write(&done, |_| String::new())?;
    if format == Format::Human {
        let LoggedIn { url, key_name, file } = done;
        say(&format!("{url} takes the key {key_name}; kept in {}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Forgets the server and the key that `login` kept.
pub(super) fn logout() -> Result<(), Failure> {
    let file = file()?;
    match std::fs::remove_file(&file) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cause).doing(format!("cannot remove {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where the server and the key are kept.
fn file() -> Result<PathBuf, Failure> {
    let folder = environment::settings_folder().ok_or_else(|| {
        Failure::new("there is no folder for settings: neither HOME nor XDG_CONFIG_HOME is set")
    })?;
    Ok(folder.join("pitlane/config.toml"))
}

fn read_key(url: &str) -> Result<String, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        let mut text = String::new();
        input.lock().take(MAX_KEY_BYTES).read_to_string(&mut text)?;
        return Ok(text);
    }
    let mut aside = std::io::stderr();
    write!(aside, "key for {url}: ")?;
    aside.flush()?;
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    // Whatever ends the question, the terminal shows again what is typed.
    let read = wait(async {
        let mut interruption = Interruption::watch()?;
        let line = tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            std::io::stdin().read_line(&mut text).map(|_| text)
        });
        tokio::select! {
            line = line => Ok(line??),
            failure = interruption.wait() => Err(failure),
        }
    });
    tcsetattr(&input, OptionalActions::Flush, &shown)?;
    writeln!(aside)?;
    read
}

/// Replaces the file as a whole; nobody else can read it.
fn keep(file: &Path, contents: &File<'_>) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = toml::to_string(contents)?;
    let temporary = folder.join(format!(".config.toml.{}", std::process::id()));
    let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
    let written = options.open(&temporary).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()
    });
    let placed = written.and_then(|()| std::fs::rename(&temporary, file));
    if placed.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    Ok(placed?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pitlane/config.toml");
        for key in ["one", "two"] {
            keep(&file, &File { url: "http://h/api", key }).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(text, format!("url = \"http://h/api\"\nkey = \"{key}\"\n"));
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("pitlane")).unwrap().count(), 1);
    }
}
