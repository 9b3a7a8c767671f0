//! Automation: what a person would otherwise do by hand.
#![forbid(unsafe_code)]

mod compat;
mod dist;
mod openapi;
mod tidy;

use std::path::Path;

use clap::Parser;

/// Pitlane's automation.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
enum Task {
    /// Bring openapi/compat.toml and the server's table of missing operations up to date.
    Compat,
    /// Build the binary as it is shipped: optimized, with the daemon inside.
    Dist,
    /// Build the daemon, as a program that needs no library, and print its path.
    Daemon {
        /// Optimize it.
        #[arg(long)]
        release: bool,
    },
    /// Write openapi/control.json and openapi/toolbox.json, the description of what the server offers.
    Openapi {
        /// Write nothing; fail if they are not what they should be.
        #[arg(long)]
        check: bool,
    },
    /// Check what the design promises about the source.
    Tidy,
}

fn main() -> anyhow::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    match Task::parse() {
        Task::Compat => compat::update(root),
        Task::Dist => dist::build(root),
        Task::Daemon { release } => dist::build_daemon(root, release),
        Task::Openapi { check: true } => openapi::check(root),
        Task::Openapi { check: false } => openapi::update(root),
        Task::Tidy => tidy::check(root),
    }
}
