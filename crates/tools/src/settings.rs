//! How the tools behave for one caller.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How the tools behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How much of an output is in an answer.
    pub output: OutputLimits,
    /// Folders of this machine whose files may be uploaded, and into which may be downloaded; none unless named.
    pub folders: Vec<PathBuf>,
    /// The language of sandboxes and code that name none.
    pub default_language: String,
    /// Whether sandboxes that do not say are kept when they stop.
    pub default_persistent: bool,
    /// How long one call may take.
    pub timeout: Duration,
    /// How often a call that only reads is tried again after a failure that may pass.
    pub retry_count: u32,
    /// Which operations may be used.
    pub permission: Permission,
}

/// How much of an output is in an answer; the rest is kept and can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Of a command: the last so many bytes of each output.
    pub command_bytes: usize,
    /// Of a file: so many bytes from an offset on.
    pub file_bytes: usize,
    /// Of a list: so many entries.
    pub entries: usize,
}

/// Which operations a caller may use; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Those that look: lists, details, reading files, the state of repositories.
    Anonymous,
    /// Those that work in sandboxes, too, make and delete them, and open previews.
    Authenticated,
    /// Those that reach beyond sandboxes under the caller's name, too: pushing, and folders of this machine.
    Developer,
    /// All there are. Today the same as the one before it.
    Admin,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { command_bytes: 16 << 10, file_bytes: 32 << 10, entries: 200 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            output: OutputLimits::default(),
            folders: Vec::new(),
            default_language: String::from("python"),
            default_persistent: false,
            timeout: Duration::from_secs(300),
            retry_count: 2,
            permission: Permission::Admin,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Authenticated => "authenticated",
            Self::Developer => "developer",
            Self::Admin => "admin",
        })
    }
}

impl std::str::FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "anonymous" => Ok(Self::Anonymous),
            "authenticated" => Ok(Self::Authenticated),
            "developer" => Ok(Self::Developer),
            "admin" => Ok(Self::Admin),
            other => Err(format!(
                "'{other}' is not one of anonymous, authenticated, developer and admin"
            )),
        }
    }
}
