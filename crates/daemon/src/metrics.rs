//! `GET /system/metrics`: what the sandbox uses, of what it may use.
//!
//! Limits and memory are what the kernel counts for the sandbox's control group, read when somebody asks. Processor time
//! is that of every process there is and of every one that they have waited for, so that it does not depend on which
//! counters a machine has. Outside a sandbox there are no such limits, and the machine's numbers are told.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use pitlane_daemon::input::{cpu_ticks, field};
use pitlane_wire::toolbox::SystemMetrics;
use tokio::time::Instant;

use crate::clock::Moment;
use crate::http::{Answer, Refusal, json};
use crate::toolbox::Toolbox;

/// In what the kernel counts processor time for programs, on every machine that there is a daemon for.
const TICKS_PER_SECOND: f64 = 100.0;
/// The most that is read of a counter's file.
const MAX_COUNTER: usize = 8 << 10;
/// A limit above this is none: version 1 of control groups writes almost the largest number there is.
const NO_LIMIT: u64 = 1 << 50;
/// With less time since the last sample, the share of processor time would be noise; the last one is told again.
const SHORTEST: Duration = Duration::from_millis(100);

/// Where numbers come from, and the last sample of processor time.
#[derive(Debug)]
pub(crate) struct Metrics {
    files: HashMap<String, OwnedFd>,
    last: Mutex<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    ticks: u64,
    used_pct: f64,
}

impl Metrics {
    pub(crate) fn new(files: Vec<(String, OwnedFd)>) -> Self {
        let last = Mutex::new(Sample { at: Instant::now(), ticks: 0, used_pct: 0.0 });
        Self { files: files.into_iter().collect(), last }
    }

    /// A counter's text, as it is now.
    fn read(&self, name: &str) -> Option<String> {
        let mut text = vec![0; MAX_COUNTER];
        let length = rustix::io::pread(self.files.get(name)?, &mut text, 0).ok()?;
        text.truncate(length);
        String::from_utf8(text).ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.read(name)?.trim().parse().ok()
    }

    /// How many CPUs may be used.
    fn cpus(&self) -> f64 {
        let unlimited = || {
            let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            f64::from(u32::try_from(count).unwrap_or(1))
        };
        let of = |quota: &str, period: &str| {
            let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
            (quota > 0.0 && period > 0.0).then(|| quota / period)
        };
        let version_2 = self.read("cpu.max");
        let limit = match version_2.as_deref().map(|text| text.trim().split_once(' ')) {
            Some(pair) => pair.and_then(|(quota, period)| of(quota, period)),
            None => self.read("cpu.cfs_quota_us").and_then(|quota| {
                let period = self.read("cpu.cfs_period_us")?;
                of(quota.trim(), period.trim())
            }),
        };
        limit.unwrap_or_else(unlimited)
    }

    /// Memory in all, in use, and of files.
    fn memory(&self, machine: &str) -> [u64; 3] {
        let limit = self.number("memory.max").or_else(|| self.number("memory.limit_in_bytes"));
        let limit = limit.filter(|bytes| *bytes < NO_LIMIT);
        let used = self.number("memory.current").or_else(|| self.number("memory.usage_in_bytes"));
        let of_machine = |name: &str| field(machine, name).unwrap_or_default().saturating_mul(1024);
        let all = of_machine("MemTotal:");
        let Some(used) = used else {
            return [all, all.saturating_sub(of_machine("MemAvailable:")), of_machine("Cached:")];
        };
        let counters = self.read("memory.stat").unwrap_or_default();
        let of_group = |version_1: &str, version_2: &str| {
            field(&counters, version_1).or_else(|| field(&counters, version_2)).unwrap_or_default()
        };
        // What was not read for a while is given back without a loss.
        let spare = of_group("total_inactive_file", "inactive_file");
        let cache = of_group("total_cache", "file");
        [limit.map_or(all, |limit| limit.min(all)), used.saturating_sub(spare), cache]
    }

    /// The share of `cpus` that was used since the last sample.
    fn used_pct(&self, ticks: u64, cpus: f64) -> f64 {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(last.at);
        if elapsed < SHORTEST {
            return last.used_pct;
        }
        // Time of a process that nobody waited for is lost, and the sum may fall.
        let used = u32::try_from(ticks.saturating_sub(last.ticks)).unwrap_or(u32::MAX);
        let used_pct = f64::from(used) / TICKS_PER_SECOND / elapsed.as_secs_f64() / cpus * 100.0;
        *last = Sample { at: now, ticks, used_pct: used_pct.clamp(0.0, 100.0) };
        last.used_pct
    }
}

/// Tells what is used.
pub(crate) async fn metrics(toolbox: &Toolbox) -> Answer {
    // Thousands of processes take a while.
    let read = toolbox.files().run(|| (processor_ticks(), meminfo(), disk()));
    let (ticks, machine, disk) = read.await?;
    let [disk_total, disk_used, disk_free] =
        disk.map_err(|errno| Refusal::internal(format!("cannot measure the disk: {errno}")))?;
    let metrics = toolbox.metrics();
    let cpus = metrics.cpus();
    let [mem_total, mem_used, mem_cache] = metrics.memory(&machine);
    let now = Moment::now();
    json(
        StatusCode::OK,
        &SystemMetrics {
            cpu_count: whole(cpus),
            cpu_used_pct: metrics.used_pct(ticks, cpus),
            mem_total,
            mem_used,
            mem_cache,
            disk_total,
            disk_used,
            disk_free,
            timestamp: now.rfc3339(),
            timestamp_unix: now.seconds(),
        },
    )
}

/// A part of a CPU counts as one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and the largest number, and floats are cut off there"
)]
fn whole(cpus: f64) -> u32 {
    cpus.ceil().max(1.0) as u32
}

/// Processor time of all processes and of those they have waited for.
fn processor_ticks() -> u64 {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| {
            entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
        })
        .filter_map(|entry| cpu_ticks(&read_text(&entry.path().join("stat"))))
        .fold(0, u64::saturating_add)
}

fn meminfo() -> String {
    read_text(Path::new("/proc/meminfo"))
}

fn read_text(path: &Path) -> String {
    // A process may have ended meanwhile.
    std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
}

/// The sandbox's disk: in all, taken, and left for its user.
fn disk() -> Result<[u64; 3], rustix::io::Errno> {
    let disk = rustix::fs::statvfs("/")?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let taken = disk.f_blocks.saturating_sub(disk.f_bfree);
    Ok([bytes(disk.f_blocks), bytes(taken), bytes(disk.f_bavail)])
}
