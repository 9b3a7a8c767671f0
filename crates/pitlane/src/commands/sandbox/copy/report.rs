//! What became of a copy: told while it runs and in the end.

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Format, say};

/// How many of each are named; a sandbox could have any number of them.
const NAMED: usize = 200;

/// Counts what was copied, left out and failed.
#[derive(Debug)]
pub(super) struct Report {
    format: Format,
    quiet: bool,
    bar: ProgressBar,
    began: Instant,
    bytes: Counter,
    counts: RefCell<Counts>,
}

/// How many bytes were copied, for whoever copies them.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    bytes: Arc<AtomicU64>,
    bar: ProgressBar,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    files: u64,
    folders: u64,
    bytes: u64,
    skipped_count: u64,
    failed_count: u64,
    skipped: Vec<Incident>,
    failed: Vec<Incident>,
}

#[derive(Debug, Serialize)]
struct Incident {
    path: String,
    reason: String,
}

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bar.inc(bytes);
    }
}

impl Report {
    pub(super) fn new(format: Format, quiet: bool) -> Self {
        let is_shown = format == Format::Human && !quiet && output::is_terminal_aside();
        let target =
            if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}{bytes} ({bytes_per_sec})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        let bytes = Counter { bytes: Arc::default(), bar: bar.clone() };
        Self { format, quiet, bar, began: Instant::now(), bytes, counts: RefCell::default() }
    }

    /// Says how many bytes there will be, where that is known.
    pub(super) fn expect(&self, bytes: Option<u64>) {
        let Some(bytes) = bytes else { return };
        let template = "{bar:24} {bytes} of {total_bytes} ({bytes_per_sec}, {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(bytes);
    }

    pub(super) fn counter(&self) -> Counter {
        self.bytes.clone()
    }

    pub(super) fn bytes(&self, bytes: usize) {
        self.bytes.add(bytes);
    }

    pub(super) fn file(&self) {
        let files = {
            let mut counts = self.counts.borrow_mut();
            counts.files += 1;
            counts.files
        };
        if files > 1 {
            self.bar.set_message(format!("{files} files, "));
        }
    }

    pub(super) fn folder(&self) {
        self.counts.borrow_mut().folders += 1;
    }

    /// Something was left out, as documented.
    pub(super) fn skipped(&self, path: String, reason: &str) {
        let mut counts = self.counts.borrow_mut();
        counts.skipped_count += 1;
        if counts.skipped.len() < NAMED {
            if self.format == Format::Human && !self.quiet {
                self.bar.suspend(|| say(&format!("left out {path}: {reason}")));
            }
            counts.skipped.push(Incident { path, reason: reason.to_owned() });
        }
    }

    /// Something could not be copied; the rest still can.
    pub(super) fn failed(&self, path: String, failure: &Failure) {
        let mut counts = self.counts.borrow_mut();
        counts.failed_count += 1;
        if counts.failed.len() < NAMED {
            if self.format == Format::Human {
                self.bar.suspend(|| say(&failure.to_string()));
            }
            counts.failed.push(Incident { path, reason: failure.reason() });
        }
    }

    /// Says what became of it all.
    pub(super) fn finish(self, worked: Result<(), Failure>) -> Result<ExitCode, Failure> {
        self.bar.finish_and_clear();
        let mut counts = self.counts.into_inner();
        counts.bytes = self.bytes.bytes.load(Ordering::Relaxed);
        let is_noted = self.format == Format::Human && !self.quiet;
        if is_noted && counts.skipped_count > counts.skipped.len() as u64 {
            say(&format!("left out {} in all", counts.skipped_count));
        }
        if let Err(failure) = worked {
            let done = counted(&counts);
            return Err(if counts.files > 0 {
                failure.hint(format!("before that {done} were copied completely"))
            } else {
                failure
            });
        }
        if is_noted && output::is_terminal_aside() {
            let seconds = self.began.elapsed().as_secs_f64();
            say(&format!("copied {} in {seconds:.1} s", counted(&counts)));
        }
        if self.format == Format::Json {
            self.format.write(&counts, |_| String::new())?;
        }
        match counts.failed_count {
            0 => Ok(ExitCode::SUCCESS),
            count => Err(Failure::new(format!("{count} could not be copied")).exit(Exit::Failed)),
        }
    }
}

fn counted(counts: &Counts) -> String {
    let files = counts.files;
    let s = if files == 1 { "" } else { "s" };
    format!("{files} file{s} ({})", HumanBytes(counts.bytes))
}
