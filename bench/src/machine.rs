//! The machine and the programs that were measured.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::program::{command, output};

/// The machine and the programs that were measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// Programs with their versions.
    pub(crate) programs: Vec<(String, String)>,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look(options: &Options) -> anyhow::Result<Self> {
        let processors = read("/proc/cpuinfo")?;
        Ok(Self {
            processors: std::thread::available_parallelism()?.get(),
            processor: value(&processors, "model name", ':').unwrap_or("unknown").to_owned(),
            memory_mib: memory(&read("/proc/meminfo")?)?,
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            system: value(&read("/etc/os-release")?, "PRETTY_NAME", '=')
                .unwrap_or("unknown")
                .trim_matches('"')
                .to_owned(),
            programs: programs(options),
        })
    }
}

/// The commit that is measured, with a word if the source was changed since; the report itself does not count.
pub(crate) fn commit() -> anyhow::Result<String> {
    let commit = output(&mut command("git", ["rev-parse", "--short=12", "HEAD"]))?;
    let changed = ["status", "--porcelain", "--", ":/", ":!/bench/RESULTS.md"];
    let changed = output(&mut command("git", changed))?;
    let word = if changed.is_empty() { "" } else { ", with changes that are in no commit" };
    Ok(format!("{}{word}", commit.trim()))
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(separator)?.1.trim())
}

fn memory(text: &str) -> anyhow::Result<u64> {
    let total = value(text, "MemTotal", ':').context("no memory in /proc/meminfo")?;
    let kibibytes: u64 = total.trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024)
}

fn programs(options: &Options) -> Vec<(String, String)> {
    let docker = options
        .docker
        .as_ref()
        .map_or_else(|| "docker".into(), |folder| folder.join("usr/bin/docker"));
    [
        ("Pitlane", options.pitlane.clone(), "version"),
        ("bubblewrap", "bwrap".into(), "--version"),
        ("crun", "crun".into(), "--version"),
        ("runc", "runc".into(), "--version"),
        ("Docker", docker, "--version"),
        ("Node", "node".into(), "--version"),
    ]
    .into_iter()
    .map(|(name, program, flag)| {
        let said = output(&mut command(program, [flag]));
        let version = said.map_or_else(|_| "absent".to_owned(), |said| first_line(&said));
        (name.to_owned(), version)
    })
    .collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mebibytes() {
        assert_eq!(memory("MemTotal:       24684084 kB\nMemFree: 1 kB\n").unwrap(), 24_105);
    }
}
