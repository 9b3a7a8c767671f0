//! What became of a sandbox, line by line.

use crate::{SandboxId, SandboxState, Timestamp};

/// Who or what changed a sandbox's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a key asked for it.
    Caller,
    /// One of the sandbox's timers.
    Timer,
    /// The sandbox itself, by ending.
    Sandbox,
    /// The server: something failed, or it found things so when it started.
    Server,
}

/// A change of a sandbox's state, or something that happened to it in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryLine {
    /// Whose.
    pub sandbox: SandboxId,
    /// When it happened.
    pub at: Timestamp,
    /// Its state since then.
    pub state: SandboxState,
    /// Whose doing it was.
    pub actor: Actor,
    /// Why, for a person, if there is more to say.
    pub reason: Option<String>,
}

impl Actor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Caller, Self::Timer, Self::Sandbox, Self::Server];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Timer => "timer",
            Self::Sandbox => "sandbox",
            Self::Server => "server",
        }
    }

    /// The one with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|actor| actor.as_str() == word)
    }
}
