//! What a run is told by its environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

/// How many idle sandboxes there are while memory is read, if nobody says.
const IDLE: [usize; 11] = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000];

/// What a run is told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The server's binary, with its daemon inside.
    pub(crate) pitlane: PathBuf,
    /// Where root filesystems are kept.
    pub(crate) image_cache: PathBuf,
    /// A folder for what the run needs and removes again.
    pub(crate) scratch: PathBuf,
    /// The script that speaks through the official SDK.
    pub(crate) script: PathBuf,
    /// Docker's programs; none where they cannot be had.
    pub(crate) docker: Option<PathBuf>,
    /// How often each thing is measured.
    pub(crate) rounds: usize,
    /// How many sandboxes live while creation is measured.
    pub(crate) populations: Vec<usize>,
    /// How many sandboxes the SDK makes in each mode.
    pub(crate) interactive: usize,
    /// How many sandboxes a list has.
    pub(crate) listed: usize,
    /// How large the file is that goes up and down, in MiB.
    pub(crate) transfer_mib: usize,
    /// How many sandboxes are made by many clients at once.
    pub(crate) crowd: usize,
    /// How many sandboxes run while the server is started again.
    pub(crate) restart: usize,
    /// How many idle sandboxes there are while memory is read.
    pub(crate) idle: Vec<usize>,
    /// How long to wait for a quiet machine.
    pub(crate) patience: Duration,
}

impl Options {
    /// Reads `BENCH_*`.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        Ok(Self {
            pitlane: required("BENCH_PITLANE")?.into(),
            image_cache: required("BENCH_IMAGE_CACHE")?.into(),
            scratch: required("BENCH_SCRATCH")?.into(),
            script: required("BENCH_SCRIPT")?.into(),
            docker: variable("BENCH_DOCKER").map(PathBuf::from),
            rounds: number("BENCH_ROUNDS", 60)?,
            populations: populations("BENCH_POPULATIONS", &[0, 100, 500])?,
            interactive: number("BENCH_INTERACTIVE", 100)?,
            listed: number("BENCH_LISTED", 1000)?,
            transfer_mib: number("BENCH_TRANSFER_MIB", 1024)?,
            crowd: number("BENCH_CROWD", 200)?,
            restart: number("BENCH_RESTART", 500)?,
            idle: populations("BENCH_IDLE", &IDLE)?,
            patience: Duration::from_secs(number("BENCH_PATIENCE", 60)?.try_into()?),
        })
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn required(name: &str) -> anyhow::Result<OsString> {
    variable(name).with_context(|| format!("{name} is not set: start bench/run"))
}

fn number(name: &str, otherwise: usize) -> anyhow::Result<usize> {
    let Some(value) = variable(name) else { return Ok(otherwise) };
    value.to_string_lossy().parse().with_context(|| format!("{name} is not a number"))
}

fn populations(name: &str, otherwise: &[usize]) -> anyhow::Result<Vec<usize>> {
    let Some(value) = variable(name) else { return Ok(otherwise.to_vec()) };
    let value = value.to_string_lossy();
    let numbers = value.split(',').map(str::parse).collect::<Result<_, _>>();
    numbers.with_context(|| format!("{name} is not a list of numbers"))
}
