//! A name and a password for one server, for one command of git.
//!
//! They are in a file without a name, which cannot be changed and is open in that command alone as descriptor 3. Git
//! asks a helper for them, a line of shell that reads the file, and only for the server that they are meant for: an
//! address that leads elsewhere, or a submodule of somebody else, finds none. No other helper is asked or told, so that
//! nothing is kept; no hook runs in the same command, and nothing that talks to anybody by other means than HTTP, so that
//! none inherits the descriptor. Where the repository's own settings choose a proxy or whose certificates are believed,
//! there are no credentials: whoever wrote them would hear the password.

use std::os::fd::OwnedFd;

use pitlane_daemon::input::git::{Setting, origin, settings};
use pitlane_sys::sealed_memory_file;

use super::command::Command;
use super::repository::Repository;
use crate::http::Refusal;

/// The longest name or password.
const MAX_LENGTH: usize = 16 << 10;
/// The most hooks in settings.
const MAX_HOOKS: usize = 100;
/// What git runs. The number opens the file anew: it can be read again, by a second connection to the same server.
const HELPER: &str = "!f() { test \"$1\" != get || cat </proc/self/fd/3; }; f";
/// Settings without which programs of the repository would run with the descriptor.
const NOTHING_ELSE: [&str; 6] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
];

/// The means by which such a command talks to anybody, whatever else settings allow: `git-remote-http` runs no programs of
/// a repository's, others do, as for the second of two addresses of a remote.
pub(super) const MEANS: (&str, &str) = ("GIT_ALLOW_PROTOCOL", "http:https");

/// A name and a password for a server.
pub(super) struct Credentials {
    username: String,
    password: String,
    origin: String,
    /// Names of hooks that settings have, since git 2.54.
    hooks: Vec<String>,
}

/// A name and a password, of which either may be missing, as a caller sent them.
pub(super) struct Sent {
    username: Option<String>,
    password: Option<String>,
}

impl Sent {
    /// Takes what a caller sent; refuses what no server could be told.
    pub(super) fn new(username: Option<String>, password: Option<String>) -> Result<Self, Refusal> {
        for (name, value) in [("username", &username), ("password", &password)] {
            check(name, value.as_deref().unwrap_or_default())?;
        }
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        Ok(Self { username: given(username), password: given(password) })
    }

    /// Whether there is anything.
    pub(super) const fn is_some(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }

    /// For the server at this address, if it is one that has use for them, in commands of this repository.
    pub(super) async fn for_server(
        self,
        url: &str,
        repository: &Repository<'_>,
    ) -> Result<Option<Credentials>, Refusal> {
        let Some(origin) = origin(url).filter(|_| self.is_some()) else { return Ok(None) };
        let hooks = hooks(repository).await?;
        let (username, password) = (self.username, self.password);
        // Servers that know tokens take any name.
        let username = username.unwrap_or_else(|| String::from("git"));
        let password = password.unwrap_or_default();
        Ok(Some(Credentials { username, password, origin, hooks }))
    }
}

/// The hooks in the settings that count in a repository, unless there are settings with which no password may be used.
async fn hooks(repository: &Repository<'_>) -> Result<Vec<String>, Refusal> {
    let command = ["config", "--list", "--show-scope", "--name-only", "--null"];
    let output = repository.run(Command::looking(command)).await?;
    let mut hooks = Vec::new();
    for setting in settings(&output.stdout) {
        if setting.is_the_repositorys && setting.chooses_listeners() {
            return Err(too_strange(&setting, "chooses who would hear the password"));
        }
        match setting.hook() {
            // The first one would end the name in an argument.
            Some(hook) if hook.contains('=') => {
                return Err(too_strange(&setting, "is a hook that cannot be left out"));
            }
            Some(hook) if hooks.len() < MAX_HOOKS => hooks.push(hook.to_owned()),
            Some(_) => return Err(too_strange(&setting, "is one hook too many")),
            None => {}
        }
    }
    Ok(hooks)
}

fn too_strange(setting: &Setting, reason: &str) -> Refusal {
    let key: String = setting.key.chars().take(200).collect();
    Refusal::bad_request(format!(
        "the setting {key} {reason}: remove it, or keep it in the user's settings (scope global), or send no password"
    ))
}

impl Credentials {
    /// What git has to be told.
    pub(super) fn settings(&self) -> impl Iterator<Item = String> {
        // An empty one forgets the others.
        let own = [
            String::from("credential.helper="),
            format!("credential.{}.helper={HELPER}", self.origin),
        ];
        let hooks = self.hooks.iter().map(|hook| format!("hook.{hook}.enabled=false"));
        own.into_iter().chain(NOTHING_ELSE.map(str::to_owned)).chain(hooks)
    }

    /// The file for the helper.
    pub(super) fn file(&self) -> Result<OwnedFd, Refusal> {
        let text = format!("username={}\npassword={}\n", self.username, self.password);
        sealed_memory_file("credentials", text.as_bytes())
            .map_err(|error| Refusal::internal(format!("cannot keep the credentials: {error}")))
    }

    /// What no message may show.
    pub(super) fn secret(&self) -> &str {
        &self.password
    }
}

/// Refuses what the protocol of git's helpers cannot carry.
pub(super) fn check(name: &str, value: &str) -> Result<(), Refusal> {
    if value.contains(['\0', '\n', '\r']) {
        return Err(Refusal::bad_request(format!("{name} must be one line")));
    }
    if value.len() > MAX_LENGTH {
        return Err(Refusal::bad_request(format!("{name} is longer than {MAX_LENGTH} bytes")));
    }
    Ok(())
}
