//! One thing that was tried, and what came of it.

use std::error::Error as StdError;

use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It works.
    #[serde(rename = "ok")]
    Good,
    /// Sandboxes can be made, and something is missing that many want.
    Limited,
    /// Without this no sandbox can be made.
    Failed,
    /// Something before it failed, so it could not be tried.
    Untried,
    /// It makes no difference.
    Unused,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was tried.
    pub(crate) name: &'static str,
    /// What came of it.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

impl Verdict {
    /// As a person reads it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Limited => "limited",
            Self::Failed => "FAILED",
            Self::Untried => "untried",
            Self::Unused => "unused",
        }
    }
}

impl Check {
    pub(crate) fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, detail: detail.into(), fix: None }
    }

    pub(crate) fn limited(
        name: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let fix = Some(fix.into());
        Self { name, verdict: Verdict::Limited, detail: detail.into(), fix }
    }

    pub(crate) fn bad(
        name: &'static str,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let fix = Some(fix.into());
        Self { name, verdict: Verdict::Failed, detail: detail.into(), fix }
    }

    pub(crate) fn untried(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Untried, detail: detail.into(), fix: None }
    }

    pub(crate) fn unused(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Unused, detail: detail.into(), fix: None }
    }
}

/// An error with its causes, in one line.
pub(crate) fn whole(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
