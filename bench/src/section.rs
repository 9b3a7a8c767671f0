//! The things that are measured, each by itself.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::options::Options;
use crate::results::Results;
use crate::{
    builds, code, crowd, density, images, interactive, interpreter, listing, mcp, restart, rounds,
    sessions, snapshots, terminals, transfer, warm,
};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Rounds,
    Density,
    Interactive,
    Listing,
    Transfer,
    Crowd,
    Restart,
    Sessions,
    Interpreters,
    Code,
    Terminals,
    Mcp,
    Images,
    Warm,
    Snapshots,
    Builds,
}

impl Section {
    /// All of them, in their order.
    const ALL: [Self; 16] = [
        Self::Rounds,
        Self::Density,
        Self::Interactive,
        Self::Listing,
        Self::Transfer,
        Self::Crowd,
        Self::Restart,
        Self::Sessions,
        Self::Interpreters,
        Self::Code,
        Self::Terminals,
        Self::Mcp,
        Self::Images,
        Self::Warm,
        Self::Snapshots,
        Self::Builds,
    ];

    /// What a command line calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rounds => "rounds",
            Self::Density => "density",
            Self::Interactive => "interactive",
            Self::Listing => "listing",
            Self::Transfer => "transfer",
            Self::Crowd => "crowd",
            Self::Restart => "restart",
            Self::Sessions => "sessions",
            Self::Interpreters => "interpreters",
            Self::Code => "code",
            Self::Terminals => "terminals",
            Self::Mcp => "mcp",
            Self::Snapshots => "snapshots",
            Self::Builds => "builds",
            Self::Warm => "warm",
            Self::Images => "images",
        }
    }

    /// Those of these names, or all if there is none.
    ///
    /// # Errors
    ///
    /// A name that is none; the error says those that are.
    pub(crate) fn named(names: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        if names.is_empty() {
            return Ok(Self::ALL.to_vec());
        }
        let find = |name: &PathBuf| {
            let known = Self::ALL.into_iter().find(|section| name.as_os_str() == section.name());
            known.with_context(|| {
                let all = Self::ALL.map(Self::name).join(", ");
                format!("{} is not one of {all}", name.display())
            })
        };
        names.iter().map(find).collect()
    }

    /// Measures it.
    ///
    /// # Errors
    ///
    /// It cannot be measured at all: a server does not start, a request fails that must not.
    pub(crate) async fn measure(
        self,
        options: &Options,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        match self {
            Self::Rounds => results.rounds = Box::pin(rounds::run(options)).await?,
            Self::Density => results.density = Box::pin(density::run(options)).await?,
            Self::Interactive => {
                results.interactive = Some(Box::pin(interactive::run(options)).await?);
            }
            Self::Listing => results.listing = Some(Box::pin(listing::run(options)).await?),
            Self::Transfer => results.transfer = Some(Box::pin(transfer::run(options)).await?),
            Self::Crowd => results.crowd = Some(Box::pin(crowd::run(options)).await?),
            Self::Restart => results.restart = Some(Box::pin(restart::run(options)).await?),
            Self::Sessions => results.sessions = Some(Box::pin(sessions::run(options)).await?),
            Self::Interpreters => {
                results.interpreters = Some(Box::pin(interpreter::run(options)).await?);
            }
            Self::Code => results.code = Some(Box::pin(code::run(options)).await?),
            Self::Terminals => results.terminals = Some(Box::pin(terminals::run(options)).await?),
            Self::Mcp => results.mcp = Some(Box::pin(mcp::run(options)).await?),
            Self::Warm => results.warm = Some(Box::pin(warm::run(options)).await?),
            Self::Snapshots => {
                results.snapshots = Some(Box::pin(snapshots::run(options)).await?);
            }
            Self::Builds => results.builds = Some(Box::pin(builds::run(options)).await?),
            Self::Images => results.images = Some(Box::pin(images::run(options)).await?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_all_of_them_and_an_unknown_one_is_told() {
        assert_eq!(Section::named(&[]).unwrap(), Section::ALL);
        let some = Section::named(&["crowd".into(), "rounds".into()]).unwrap();
        assert_eq!(some, [Section::Crowd, Section::Rounds]);
        let error = Section::named(&["speed".into()]).unwrap_err().to_string();
        assert!(error.starts_with("speed is not one of rounds, "), "{error}");
    }
}
