//! A name and a password for one server, for one command of git.
//!
//! They are in a file without a name, which cannot be changed and is open in that command alone as descriptor 3. Git
//! asks a helper for them, a line of shell that reads the file, and only for the server that they are meant for: an
//! address that leads elsewhere, or a submodule of somebody else, finds none. No other helper is asked or told, so that
//! nothing is kept; no hook runs in the same command, so that none inherits the descriptor.

use std::os::fd::OwnedFd;

use pitlane_daemon::input::git::origin;
use pitlane_sys::sealed_memory_file;

use crate::http::Refusal;

/// The longest name or password.
const MAX_LENGTH: usize = 16 << 10;
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

/// A name and a password for a server.
pub(super) struct Credentials {
    username: String,
    password: String,
    origin: String,
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

    /// For the server at this address, if it is one that has use for them.
    pub(super) fn for_server(self, url: &str) -> Option<Credentials> {
        if !self.is_some() {
            return None;
        }
        let origin = origin(url)?;
        let (username, password) = (self.username, self.password);
        // Servers that know tokens take any name.
        let username = username.unwrap_or_else(|| String::from("git"));
        Some(Credentials { username, password: password.unwrap_or_default(), origin })
    }
}

impl Credentials {
    /// What git has to be told.
    pub(super) fn settings(&self) -> impl Iterator<Item = String> {
        // An empty one forgets the others.
        let own = [
            String::from("credential.helper="),
            format!("credential.{}.helper={HELPER}", self.origin),
        ];
        own.into_iter().chain(NOTHING_ELSE.map(str::to_owned))
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
