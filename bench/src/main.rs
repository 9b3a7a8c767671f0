//! Measures Pitlane beside other ways to make sandboxes, on one machine, one root filesystem and in one run.
//!
//! Drives the released binary over HTTP and its peers by their command lines; knows nothing of Pitlane's inside. What
//! cannot be measured here gets a word in the report instead of a number, and a promise that is not kept is reported
//! as not reached: neither fails the run.
#![forbid(unsafe_code)]

mod builds;
mod code;
mod connection;
mod crowd;
mod density;
mod dialogue;
mod docker;
mod images;
mod interactive;
mod interpreter;
mod listing;
mod machine;
mod mcp;
mod options;
mod peers;
mod program;
mod promises;
mod quiet;
mod report;
mod restart;
mod results;
mod rounds;
mod samples;
mod section;
mod server;
mod sessions;
mod snapshots;
mod spawner;
mod terminals;
mod transfer;
mod warm;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use self::machine::Machine;
use self::options::Options;
use self::results::Results;
use self::section::Section;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    match (command.to_str(), rest.as_slice()) {
        (Some("measure"), [results, names @ ..]) => measure(results, &Section::named(names)?),
        (Some("report"), [results, report]) => write_report(results, report),
        (Some("spawner"), []) => spawner::serve(None),
        (Some("spawner"), [root]) => spawner::serve(Some(root)),
        _ => bail!(
            "usage: pitlane-bench measure RESULTS.json [NAME…] | report RESULTS.json REPORT.md"
        ),
    }
}

/// Measures some things and writes what was found.
#[tokio::main(flavor = "current_thread")]
async fn measure(path: &Path, sections: &[Section]) -> anyhow::Result<()> {
    let options = Options::from_environment()?;
    let started = std::time::Instant::now();
    let load_before = quiet::wait(options.patience).await?;
    let mut results = Results {
        commit: machine::commit()?,
        machine: Machine::look(&options)?,
        load: [load_before, load_before],
        seconds: 0,
        rounds: Vec::new(),
        density: Vec::new(),
        interactive: None,
        listing: None,
        transfer: None,
        crowd: None,
        restart: None,
        sessions: None,
        interpreters: None,
        code: None,
        mcp: None,
        terminals: None,
        warm: None,
        snapshots: None,
        builds: None,
        images: None,
    };
    for section in sections {
        let name = section.name();
        let measured = section.measure(&options, &mut results).await;
        measured.with_context(|| format!("cannot measure {name}"))?;
    }
    results.load = [load_before, quiet::load()?];
    results.seconds = started.elapsed().as_secs();
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
