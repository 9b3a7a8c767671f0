//! Everything that one run found.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::samples::Samples;
use crate::server::Memory;

/// Everything that one run found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The source's commit, and whether the source was changed since.
    pub(crate) commit: String,
    pub(crate) machine: Machine,
    /// The machine's load before and after, processes on average over a minute.
    pub(crate) load: [f64; 2],
    /// How long the run took.
    pub(crate) seconds: u64,
    /// Empty, as everything that follows, when only other things were measured.
    pub(crate) rounds: Vec<Row>,
    pub(crate) density: Vec<Population>,
    pub(crate) interactive: Option<Interactive>,
    pub(crate) listing: Option<Listing>,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) crowd: Option<Crowd>,
    pub(crate) restart: Option<Restart>,
    /// Absent in results of earlier versions.
    #[serde(default)]
    pub(crate) sessions: Option<Sessions>,
    /// As above.
    #[serde(default)]
    pub(crate) interpreters: Option<Interpreters>,
    /// As above.
    #[serde(default)]
    pub(crate) code: Option<Code>,
    pub(crate) mcp: Option<Mcp>,
    /// As above.
    #[serde(default)]
    pub(crate) terminals: Option<Terminals>,
    /// As above.
    #[serde(default)]
    pub(crate) images: Option<Images>,
    /// As above.
    #[serde(default)]
    pub(crate) warm: Option<Warm>,
    /// As above.
    #[serde(default)]
    pub(crate) snapshots: Option<Snapshots>,
    /// As above.
    #[serde(default)]
    pub(crate) builds: Option<Builds>,
}

/// Builds of a Dockerfile with files.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Builds {
    /// How many files are copied.
    pub(crate) files: usize,
    /// How many of its instructions change files.
    pub(crate) steps: usize,
    /// Until the snapshot is active, every step done.
    pub(crate) anew: Samples,
    /// The same, every step found.
    pub(crate) again: Samples,
    /// Until a sandbox of it is started, every step found.
    pub(crate) sandbox: Samples,
}

/// Snapshots of an empty sandbox and of one with many files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshots {
    /// How much is in the one with files.
    pub(crate) mib: usize,
    /// What the host's own file system is.
    #[serde(default)]
    pub(crate) host_kind: String,
    /// On that.
    pub(crate) host: SnapshotTimes,
    /// On XFS, which shares blocks.
    pub(crate) xfs: SnapshotTimes,
}

/// Both on one file system.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SnapshotTimes {
    pub(crate) empty: Samples,
    pub(crate) full: Samples,
}

/// Sandboxes that waited, beside those that did not; and what idle ones cost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Warm {
    /// A create that takes one that waits.
    pub(crate) warm: Samples,
    /// A create that finds nothing prepared.
    pub(crate) cold: Samples,
    /// From few sandboxes to many.
    pub(crate) idle: Vec<IdleMemory>,
}

/// What sandboxes that do nothing take of memory, those that wait included.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct IdleMemory {
    pub(crate) sandboxes: usize,
    /// The server's, shared pages in parts.
    pub(crate) server_kib: u64,
    /// The launcher's, likewise.
    pub(crate) launcher_kib: u64,
    /// All daemons' together, likewise.
    pub(crate) daemons_kib: u64,
    /// What the kernel keeps for itself on the whole machine.
    pub(crate) kernel_kib: u64,
}

impl IdleMemory {
    /// All of it.
    pub(crate) const fn total_kib(&self) -> u64 {
        self.server_kib + self.launcher_kib + self.daemons_kib + self.kernel_kib
    }
}

/// An image from a registry on this machine, until its files are there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Images {
    /// What its layers are as they travel.
    pub(crate) megabytes: u64,
    /// `pitlane image pull` to an empty cache.
    pub(crate) pull: Samples,
    /// `skopeo copy` to a folder, and `tar x`.
    pub(crate) peer: Samples,
}

/// The list of many sandboxes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) sandboxes: usize,
    /// In how many pages it comes.
    pub(crate) pages: usize,
    /// All pages, one after the other.
    pub(crate) whole: Samples,
}

/// One file, up and down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) mib: usize,
    pub(crate) upload: Samples,
    pub(crate) download: Samples,
    /// From memory over a local socket into a file.
    pub(crate) bare_upload: Samples,
    /// From that file over a local socket to nowhere.
    pub(crate) bare_download: Samples,
    /// The server's, before the first transfer.
    pub(crate) memory_before: Memory,
    /// The server's, after the last one, with the peak since the first.
    pub(crate) memory_after: Memory,
}

/// Commands of a session, and a log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sessions {
    /// The program without any sandbox.
    pub(crate) bare: Samples,
    /// `true` through `process/execute`.
    pub(crate) execute: Samples,
    /// The program in a session.
    pub(crate) exec: Samples,
    /// How much the followed command says.
    pub(crate) mib: usize,
    /// The same program's output over a local socket.
    pub(crate) bare_stream: Samples,
    /// The same, and into a file as well.
    pub(crate) bare_kept: Samples,
    /// From the call that begins the command to its last byte.
    pub(crate) stream: Samples,
    /// The same log after the end.
    pub(crate) again: Samples,
}

/// Code, beside the same without any sandbox.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Code {
    /// `python3 -c 'print(1)'` without a sandbox.
    pub(crate) bare_python: Samples,
    /// `node -e 'console.log(1)'` without a sandbox.
    pub(crate) bare_node: Samples,
    /// The first run of Python in a sandbox.
    pub(crate) first: Samples,
    /// Those after that.
    pub(crate) later: Samples,
    /// Runs of JavaScript.
    pub(crate) node: Samples,
}

/// Shells to type into.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Terminals {
    /// From a key until the shell's prompt shows it.
    pub(crate) echo: Samples,
}

/// A tool that runs a command.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Mcp {
    /// The toolbox call that the tool makes.
    pub(crate) bare: Samples,
    /// The tool.
    pub(crate) call: Samples,
}

/// Contexts of Python.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Interpreters {
    /// Until a new one is ready.
    pub(crate) context: Samples,
    /// A run of `print(1)`, from its connection to its end.
    pub(crate) round_trip: Samples,
}

/// Creation by many clients at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) clients: usize,
    pub(crate) create: Samples,
    /// What each that failed said.
    pub(crate) failures: Vec<String>,
    /// From the first call to the last answer.
    pub(crate) seconds: f64,
}

/// Starting a server again whose sandboxes have gone on without it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Restart {
    pub(crate) sandboxes: usize,
    /// From the start of the process to its first word that it is ready.
    pub(crate) ready: Samples,
}

/// One thing that was measured in rounds, or why it was not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) measure: Measure,
    pub(crate) found: Found,
}

/// What was found of one thing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Found {
    Samples(Samples),
    /// It cannot be measured on this machine, for this reason.
    Nothing(String),
}

/// Everything that is measured in rounds, in the order of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    BareTrue,
    BarePython,
    Bubblewrap,
    Crun,
    CrunAgain,
    Runc,
    Docker,
    Create,
    CreateAndFirstExec,
    Exec,
    CodeRun,
    Delete,
    Whole,
    CreateAgain,
    CreateUnprepared,
}

/// Creation while so many sandboxes live.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Population {
    pub(crate) live: usize,
    pub(crate) create: Samples,
}

/// How long it takes until a sandbox has done something useful, through the official SDK.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Interactive {
    /// The identity probe, without any sandbox.
    pub(crate) bare_probe: Samples,
    /// `node -v`, without any sandbox.
    pub(crate) bare_node: Samples,
    /// The same calls to a server whose sandboxes run nothing.
    pub(crate) fake: Modes,
    /// Real sandboxes.
    pub(crate) real: Modes,
}

/// One server's times, by how the sandboxes follow each other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Modes {
    pub(crate) sequential: Run,
    pub(crate) staggered: Run,
    pub(crate) burst: Run,
}

/// One mode's times.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// From the call to the end of the second command, of every sandbox that succeeded.
    pub(crate) total: Samples,
    /// The part until the sandbox was created.
    pub(crate) create: Samples,
    /// What each that failed said.
    pub(crate) failures: Vec<String>,
    /// From the first call until everything was deleted; of turns, all of them together.
    pub(crate) seconds: f64,
}

impl Run {
    /// Takes the turn that came after these.
    pub(crate) fn append(&mut self, mut turn: Self) {
        self.total.append(turn.total);
        self.create.append(turn.create);
        self.failures.append(&mut turn.failures);
        self.seconds += turn.seconds;
    }
}

impl Results {
    /// The samples of a measure, if it could be measured.
    pub(crate) fn samples(&self, measure: Measure) -> Option<&Samples> {
        let row = self.rounds.iter().find(|row| row.measure == measure)?;
        match &row.found {
            Found::Samples(samples) => Some(samples),
            Found::Nothing(_) => None,
        }
    }
}

impl Measure {
    /// What is measured, for a reader of the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BareTrue => "bare `true`",
            Self::BarePython => "bare `python3 -c 'print(1)'`",
            Self::Bubblewrap => "`bwrap … true`",
            Self::Crun => "`crun run`: `true`",
            Self::CrunAgain => "`crun run`: `true`, again",
            Self::Runc => "`runc run`: `true`",
            Self::Docker => "`docker run --rm … true`",
            Self::Create => "Pitlane: create",
            Self::CreateAndFirstExec => "Pitlane: create + first exec of `true`",
            Self::Exec => "Pitlane: exec of `true`",
            Self::CodeRun => "Pitlane: code_run of `print(1)`",
            Self::Delete => "Pitlane: delete",
            Self::Whole => "Pitlane: create + exec of `true` + delete",
            Self::CreateAgain => "Pitlane: create, again",
            Self::CreateUnprepared => "Pitlane: create, nothing prepared",
        }
    }

    /// How it is measured.
    pub(crate) const fn how(self) -> &'static str {
        match self {
            Self::BareTrue | Self::BarePython => {
                "posix_spawn and wait by a small process that has changed its root to the image's"
            }
            Self::Bubblewrap => {
                "all namespaces, root filesystem read-only; neither limits nor a writable disk"
            }
            Self::Crun => {
                "root filesystem read-only, control groups, default profile; in a mount namespace without `unified`"
            }
            Self::CrunAgain => {
                "the same, at once after the row above: joining control groups is slow after a pause"
            }
            Self::Runc => "the same bundle",
            Self::Docker => {
                "a daemon of its own, default bridge, the same root filesystem imported as an image"
            }
            Self::Create => "`POST /sandbox` until `started`, on a kept connection",
            Self::CreateAndFirstExec => "the same sandbox, the command sent at once",
            Self::Exec => "`POST …/process/execute` on a kept connection",
            Self::CodeRun => "`POST …/process/code-run` on a kept connection",
            Self::Delete => "`DELETE /sandbox/…` until it is answered",
            Self::Whole => "one after the other, nothing between",
            Self::CreateAgain => "at once after the row above",
            Self::CreateUnprepared => "another server, with `--prepared 0`",
        }
    }
}
