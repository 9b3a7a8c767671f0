//! What an operator decides about builds.

use std::collections::BTreeMap;
use std::time::Duration;

use pitlane_model::Limits;

/// What an operator decides about builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSettings {
    /// Where packages are had from.
    pub mirrors: Mirrors,
    /// What one build may use.
    pub limits: BuildLimits,
}

/// Where build steps have packages from: variables of `RUN` steps and of nothing else.
///
/// They are not part of the image, and of no step's name in the cache: a package is the same wherever it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirrors {
    /// Variables by name: `PIP_INDEX_URL`, `NPM_CONFIG_REGISTRY`, `HTTPS_PROXY`, …
    pub variables: BTreeMap<String, String>,
}

/// What one build may use at most, and all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildLimits {
    /// How large a request's limits may be; also what a build gets whose request says less than a build needs.
    pub resources: Limits,
    /// How long a build may take from its first step to its last.
    pub deadline: Duration,
    /// How many builds run at the same time; others wait for their turn.
    pub concurrent: usize,
}

impl BuildSettings {
    /// No mirrors, and the usual limits: an hour, four builds at once.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_hours(1);
    /// How many builds run at the same time by default.
    pub const DEFAULT_CONCURRENT: usize = 4;
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            mirrors: Mirrors::default(),
            limits: BuildLimits {
                resources: Limits::MAXIMUM,
                deadline: Self::DEFAULT_DEADLINE,
                concurrent: Self::DEFAULT_CONCURRENT,
            },
        }
    }
}
