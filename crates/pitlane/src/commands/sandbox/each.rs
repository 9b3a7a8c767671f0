//! The same for several sandboxes: those that are named, or all, or those with a label.

use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream;
use pitlane_client::{Client, ListSandboxes};
use serde::Serialize;

use crate::cli::pair;
use crate::commands::completion::sandbox_names;
use crate::commands::execution::Interruption;
use crate::commands::wait;
use crate::failure::Failure;
use crate::output::{Format, say, say_failure};

/// How many are worked on at the same time.
const AT_ONCE: usize = 8;

/// Which sandboxes.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Ids, beginnings of ids, or names
    #[arg(value_name = "SANDBOX", required_unless_present_any = ["all", "label"], add = sandbox_names())]
    sandboxes: Vec<String>,
    /// All for which it makes sense
    #[arg(long, conflicts_with = "sandboxes")]
    all: bool,
    /// All with this label for which it makes sense; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "sandboxes")]
    label: Vec<(String, String)>,
}

impl Selection {
    /// Whether the sandboxes are named one by one.
    pub(super) const fn is_by_name(&self) -> bool {
        !self.all && self.label.is_empty()
    }

    /// What to work on: names as given, or ids of those in one of `states`, in any if empty.
    pub(super) async fn resolve(
        &self,
        client: &Client,
        states: &[&str],
    ) -> Result<Vec<String>, Failure> {
        if self.is_by_name() {
            return Ok(self.sandboxes.clone());
        }
        let which = ListSandboxes {
            labels: self.label.clone(),
            states: states.iter().map(|state| (*state).to_owned()).collect(),
            ..ListSandboxes::default()
        };
        let found = client.sandboxes(&which).await?;
        Ok(found.into_iter().map(|sandbox| sandbox.id).collect())
    }
}

/// What was done to which.
#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    ids: std::collections::BTreeMap<&'a str, Vec<String>>,
}

/// Works on each and prints the ids of those that were worked on; goes on after one that cannot be, and fails in the
/// end. When interrupted it names those whose fate is open.
pub(super) fn each(
    client: &Client,
    selection: &Selection,
    states: &[&str],
    format: Format,
    done: &str,
    work: impl AsyncFn(&str) -> Result<String, Failure>,
) -> Result<ExitCode, Failure> {
    wait(async {
        let mut interruption = Interruption::watch()?;
        let sandboxes = tokio::select! {
            resolved = selection.resolve(client, states) => resolved?,
            failure = interruption.wait() => return Err(failure),
        };
        if sandboxes.is_empty() && format == Format::Human {
            say("there is none");
        }
        each_of(&sandboxes, &mut interruption, format, done, work).await
    })
}

/// Like [`each`], for sandboxes that are known.
pub(super) async fn each_of(
    sandboxes: &[String],
    interruption: &mut Interruption,
    format: Format,
    done: &str,
    work: impl AsyncFn(&str) -> Result<String, Failure>,
) -> Result<ExitCode, Failure> {
    let work = &work;
    // Results come in the order of the arguments.
    let mut working =
        stream::iter(sandboxes).map(async |sandbox| work(sandbox).await).buffered(AT_ONCE);
    let (mut ids, mut last, mut count) = (Vec::new(), None, 0);
    let interrupted = loop {
        let worked = tokio::select! {
            worked = working.next() => worked,
            failure = interruption.wait() => break Some(failure),
        };
        match worked {
            None => break None,
            Some(Ok(id)) => {
                format.line(&id)?;
                ids.push(id);
            }
            Some(Err(failure)) => {
                if let Some(earlier) = last.replace(failure) {
                    say_failure(&earlier);
                }
            }
        }
        count += 1;
    };
    format.write(&Done { ids: [(done, ids)].into() }, |_| String::new())?;
    match interrupted {
        Some(failure) => {
            let open: Vec<&str> =
                sandboxes.iter().skip(count).take(AT_ONCE).map(String::as_str).collect();
            Err(failure.hint(format!("these may be {done}, or not: {}", open.join(" "))))
        }
        None => last.map_or(Ok(ExitCode::SUCCESS), Err),
    }
}
