//! Dockerfiles: what their text means before anything runs.

mod flags;
mod instruction;
mod lines;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::fmt;

use pitlane_model::ImageReference;

pub(crate) use self::flags::Shows;
pub(crate) use self::instruction::{Action, Command, Copy, From, Instruction, Run, Source};
pub(crate) use self::lines::HereDocument;
pub(crate) use self::words::{Expander, Variables, split_words};

/// What is wrong with a Dockerfile, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfileError {
    line: usize,
    reason: String,
}

impl DockerfileError {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }

    /// The line, counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// What is wrong, and what is possible there.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for DockerfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dockerfile line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for DockerfileError {}

/// A Dockerfile that can be built, as far as that is known before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    image: Option<ImageReference>,
    stages: usize,
    steps: usize,
    needs_context: bool,
}

impl Plan {
    /// The image itself, if the Dockerfile says `FROM` it and nothing else: then there is nothing to build.
    #[must_use]
    pub const fn image(&self) -> Option<&ImageReference> {
        self.image.as_ref()
    }

    /// How many stages there are.
    #[must_use]
    pub const fn stages(&self) -> usize {
        self.stages
    }

    /// How many instructions there are.
    #[must_use]
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// Whether something is copied from the build context.
    #[must_use]
    pub const fn needs_context(&self) -> bool {
        self.needs_context
    }
}

/// A Dockerfile, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dockerfile {
    /// What takes the meaning from the next character.
    pub(crate) escape: char,
    /// `ARG` instructions before the first stage.
    pub(crate) arguments: Vec<Instruction>,
    pub(crate) stages: Vec<Stage>,
}

/// A stage: an image to start from, and what is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) from: From,
    pub(crate) instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// The longest Dockerfile, in bytes.
    pub(crate) const MAX_BYTES: usize = 1 << 20;
    /// The most instructions of a Dockerfile.
    pub(crate) const MAX_INSTRUCTIONS: usize = 1_000;
    /// The most stages of a Dockerfile.
    pub(crate) const MAX_STAGES: usize = 64;

    /// Reads a Dockerfile.
    pub(crate) fn parse(text: &str) -> Result<Self, DockerfileError> {
        if text.len() > Self::MAX_BYTES {
            let reason = format!("a Dockerfile has at most {} bytes", Self::MAX_BYTES);
            return Err(DockerfileError::new(1, reason));
        }
        if let Some((number, _)) = text.lines().enumerate().find(|(_, line)| line.contains('\0')) {
            let reason = "a Dockerfile has no NUL bytes";
            return Err(DockerfileError::new(number.saturating_add(1), reason));
        }
        let (directives, lines) = lines::split(text)?;
        if let Some(line) = lines.get(Self::MAX_INSTRUCTIONS) {
            let reason =
                format!("a Dockerfile has at most {} instructions", Self::MAX_INSTRUCTIONS);
            return Err(DockerfileError::new(line.number, reason));
        }
        let escape = directives.escape;
        let mut read = Self { escape, arguments: Vec::new(), stages: Vec::new() };
        for line in lines {
            read.add(instruction::parse(line, escape)?)?;
        }
        if read.stages.is_empty() {
            return Err(DockerfileError::new(1, "a Dockerfile needs at least one FROM"));
        }
        Ok(read)
    }

    fn add(&mut self, instruction: Instruction) -> Result<(), DockerfileError> {
        let Instruction { line, text, action } = instruction;
        if let Action::From(from) = action {
            if self.stages.len() >= Self::MAX_STAGES {
                let reason = format!("a Dockerfile has at most {} stages", Self::MAX_STAGES);
                return Err(DockerfileError::new(line, reason));
            }
            let is_taken =
                from.name.is_some() && self.stages.iter().any(|stage| stage.from.name == from.name);
            if is_taken {
                let name = from.name.unwrap_or_default();
                return Err(DockerfileError::new(line, format!("there is a stage {name} already")));
            }
            self.stages.push(Stage { line, text, from, instructions: Vec::new() });
            return Ok(());
        }
        let instruction = Instruction { line, text, action };
        match (self.stages.last_mut(), &instruction.action) {
            (Some(stage), _) => stage.instructions.push(instruction),
            (None, Action::Arg(_)) => self.arguments.push(instruction),
            (None, _) => {
                let reason = "a Dockerfile begins with FROM; only ARG may come before it";
                return Err(DockerfileError::new(line, reason));
            }
        }
        Ok(())
    }

    /// What is known of it before anything runs.
    pub(crate) fn plan(&self) -> Plan {
        let all = || self.stages.iter().flat_map(|stage| &stage.instructions);
        let image = match self.stages.as_slice() {
            [only] if only.instructions.is_empty() && only.from.platform.is_none() => {
                let is_plain = only.from.image != SCRATCH && !only.from.image.contains('$');
                is_plain.then(|| only.from.image.parse().ok()).flatten()
            }
            _ => None,
        };
        let needs_context = all().any(|instruction| match &instruction.action {
            Action::Copy(copy) => {
                copy.flags.from.is_none()
                    && copy.sources.iter().any(|source| matches!(source, Source::Path(_)))
            }
            Action::Run(run) => run
                .mounts
                .iter()
                .any(|mount| mount.shows.as_ref().is_some_and(|shows| shows.from.is_none())),
            _ => false,
        });
        Plan { image, stages: self.stages.len(), steps: all().count(), needs_context }
    }

    /// The position of a stage by its name or number, among those before `before`.
    pub(crate) fn stage_before(&self, name: &str, before: usize) -> Option<usize> {
        let earlier = self.stages.get(..before)?;
        let name = name.to_ascii_lowercase();
        let named = earlier.iter().position(|stage| stage.from.name.as_ref() == Some(&name));
        named.or_else(|| name.parse().ok().filter(|number| *number < before))
    }

    /// The stage that is wanted.
    pub(crate) fn target(&self, name: Option<&str>) -> Result<usize, DockerfileError> {
        let last = self.stages.len().saturating_sub(1);
        let Some(name) = name else { return Ok(last) };
        self.stage_before(name, self.stages.len()).ok_or_else(|| {
            let names: BTreeSet<&str> =
                self.stages.iter().filter_map(|stage| stage.from.name.as_deref()).collect();
            let known = names.into_iter().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { String::from("no stage has a name") } else { known };
            DockerfileError::new(1, format!("there is no stage {name}: {known}"))
        })
    }
}

/// The image of nothing.
pub(crate) const SCRATCH: &str = "scratch";
