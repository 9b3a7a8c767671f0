//! Measures Pitlane beside other ways to make sandboxes, on one machine, one root filesystem and in one run.
//!
//! Drives the released binary over HTTP and its peers by their command lines; knows nothing of Pitlane's inside. What
//! cannot be measured here gets a word in the report instead of a number, and a promise that is not kept is reported
//! as not reached: neither fails the run.
#![forbid(unsafe_code)]

mod connection;
mod density;
mod docker;
mod interactive;
mod machine;
mod options;
mod peers;
mod program;
mod promises;
mod quiet;
mod report;
mod results;
mod rounds;
mod samples;
mod server;
mod spawner;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use self::machine::Machine;
use self::options::Options;
use self::results::Results;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    match (command.to_str(), rest.as_slice()) {
        (Some("measure"), [results]) => measure(results),
        (Some("report"), [results, report]) => write_report(results, report),
        (Some("spawner"), []) => spawner::serve(None),
        (Some("spawner"), [root]) => spawner::serve(Some(root)),
        _ => bail!("usage: pitlane-bench measure RESULTS.json | report RESULTS.json REPORT.md"),
    }
}

/// Measures everything and writes what was found.
#[tokio::main(flavor = "current_thread")]
async fn measure(path: &Path) -> anyhow::Result<()> {
    let options = Options::from_environment()?;
    let started = std::time::Instant::now();
    let load_before = quiet::wait(options.patience).await?;
    let rounds = rounds::run(&options).await.context("the rounds failed")?;
    let density = density::run(&options).await.context("the run with many sandboxes failed")?;
    let interactive = interactive::run(&options).await.context("the run of the SDK failed")?;
    let results = Results {
        machine: Machine::look(&options)?,
        load: [load_before, quiet::load()?],
        seconds: started.elapsed().as_secs(),
        rounds,
        density,
        interactive,
    };
    let text = serde_json::to_string_pretty(&results)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes the report of what was found.
fn write_report(results: &Path, report: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(results)
        .with_context(|| format!("cannot read {}", results.display()))?;
    let results: Results = serde_json::from_str(&text)
        .with_context(|| format!("{} holds no results", results.display()))?;
    std::fs::write(report, report::text(&results))
        .with_context(|| format!("cannot write {}", report.display()))
}
