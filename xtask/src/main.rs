//! Automation: what a person would otherwise do by hand.
#![forbid(unsafe_code)]

mod compat;

use std::path::Path;

use clap::Parser;

/// Pitlane's automation.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
enum Task {
    /// Bring openapi/compat.toml and the server's table of missing operations up to date.
    Compat,
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    match Task::parse() {
        Task::Compat => compat::update(root),
    }
}
