//! Why there is no image.

use std::path::PathBuf;

use pitlane_driver::{Cause, PrepareImageError};

use crate::DockerfileError;

/// Why a build gave no image. The text of every variant but [`Self::Host`] is for whoever asked for the build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The Dockerfile asks for something that there is not.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// A build context cannot be used.
    #[error("a build context was refused: {reason}")]
    Context {
        /// Why.
        reason: String,
    },
    /// A context that was there is not there any more.
    #[error("a build context cannot be read")]
    LostContext {
        /// Where it was.
        path: PathBuf,
        /// What failed.
        #[source]
        cause: std::io::Error,
    },
    /// An image that the Dockerfile names cannot be had.
    #[error("line {line}: image {image} cannot be had")]
    Image {
        /// The line that names it.
        line: usize,
        /// The image.
        image: String,
        /// Why.
        #[source]
        cause: PrepareImageError,
    },
    /// A command of the Dockerfile failed.
    #[error("line {line}: {instruction}: exit code {exit_code}\n{tail}")]
    Command {
        /// The line of its instruction.
        line: usize,
        /// The instruction, shortened to a line.
        instruction: String,
        /// How it ended.
        exit_code: i32,
        /// The last lines it wrote.
        tail: String,
    },
    /// A step of the Dockerfile cannot be done, for this reason.
    #[error("line {line}: {instruction}: {reason}")]
    Step {
        /// The line of its instruction.
        line: usize,
        /// The instruction, shortened to a line.
        instruction: String,
        /// Why.
        reason: String,
    },
    /// It takes longer than builds may.
    #[error("the build has taken longer than {minutes} minutes")]
    TimedOut {
        /// How long builds may take.
        minutes: u64,
    },
    /// The machine has no room for it.
    #[error("this machine has no room for the build")]
    Full,
    /// The machine failed.
    #[error("the machine failed to {action}")]
    Host {
        /// What it was about to do.
        action: &'static str,
        /// What failed.
        #[source]
        cause: Cause,
    },
}

impl BuildError {
    /// The whole reason in words for whoever asked for the build; nothing about the machine.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Image { line, cause, .. } => format!("line {line}: {cause}"),
            Self::Dockerfile(_)
            | Self::Context { .. }
            | Self::LostContext { .. }
            | Self::Command { .. }
            | Self::Step { .. }
            | Self::TimedOut { .. }
            | Self::Full
            | Self::Host { .. } => self.to_string(),
        }
    }
}
