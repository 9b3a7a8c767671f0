//! What a bootstrap prints, as progress and as an explanation of its failure.

use std::collections::VecDeque;

use crate::images::Progress;

/// How many lines explain a failure.
const KEPT: usize = 30;

/// Lines that explain nothing: one for each package.
const ROUTINE: [&str; 7] =
    ["Get:", "Inst ", "Conf ", "Selecting ", "Preparing ", "Unpacking ", "/usr/bin/dpkg "];

/// Reads the lines of `mmdebstrap --verbose`.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    packages: u64,
    fetched: u64,
    unpacked: u64,
    configured: u64,
    last: VecDeque<String>,
}

impl Transcript {
    /// Takes a line and says what it tells about progress, if anything.
    pub(crate) fn read(&mut self, line: &str) -> Option<Progress> {
        if !ROUTINE.iter().any(|prefix| line.starts_with(prefix)) {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line.chars().take(500).collect());
        }

        if let Some(step) = line.strip_prefix("I: ") {
            return named_step(step).map(|step| Progress {
                step: step.to_owned(),
                done: 0,
                total: 0,
            });
        }
        if let Some(count) = newly_installed(line) {
            // Packages come in two rounds, the essential ones and the others. What was fetched before were lists.
            if self.packages == 0 {
                self.fetched = 0;
            }
            self.packages = self.packages.saturating_add(count);
            return None;
        }
        let (step, done) = if line.starts_with("Get:") {
            self.fetched = self.fetched.saturating_add(1);
            ("downloading packages", self.fetched)
        } else if line.starts_with("Unpacking ") {
            self.unpacked = self.unpacked.saturating_add(1);
            ("unpacking packages", self.unpacked)
        } else if line.starts_with("Setting up ") {
            self.configured = self.configured.saturating_add(1);
            ("setting up packages", self.configured)
        } else {
            return None;
        };
        // The lists of packages are fetched before anybody can count.
        let total = if self.packages == 0 { 0 } else { self.packages.max(done) };
        Some(Progress { step: step.to_owned(), done, total })
    }

    /// The end of what was printed.
    pub(crate) fn last_words(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// What mmdebstrap's steps are called here; `None` for those that take no time.
fn named_step(step: &str) -> Option<&'static str> {
    let known = [
        ("running apt-get update", "reading the lists of packages"),
        ("downloading packages", "downloading packages"),
        ("extracting archives", "unpacking essential packages"),
        ("installing essential packages", "setting up essential packages"),
        ("installing remaining packages", "downloading packages"),
        ("running --extract-hook", "finishing"),
        ("running --customize-hook", "finishing"),
        ("cleaning package lists", "cleaning up"),
    ];
    known.into_iter().find(|(theirs, _)| step.starts_with(theirs)).map(|(_, ours)| ours)
}

/// The second number of `0 upgraded, 306 newly installed, 0 to remove and 0 not upgraded.`
fn newly_installed(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(" newly installed")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(step: &str, done: u64, total: u64) -> Progress {
        Progress { step: step.to_owned(), done, total }
    }

    #[test]
    fn packages_are_counted_over_both_rounds() {
        let mut transcript = Transcript::default();
        let lines = [
            "I: running apt-get update...",
            "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
            "Unpacking libc6:amd64 (2.36-9) ...",
            "Setting up libc6:amd64 (2.36-9) ...",
            "I: installing remaining packages inside the chroot...",
            "0 upgraded, 3 newly installed, 0 to remove and 0 not upgraded.",
            "Unpacking nodejs (18.20.4) ...",
            "I: success in 85.4417 seconds",
        ];
        let told: Vec<Progress> = lines.iter().filter_map(|line| transcript.read(line)).collect();
        assert_eq!(
            told,
            [
                progress("reading the lists of packages", 0, 0),
                progress("unpacking packages", 1, 2),
                progress("setting up packages", 1, 2),
                progress("downloading packages", 0, 0),
                progress("unpacking packages", 2, 5),
            ]
        );
    }

    #[test]
    fn the_end_of_the_output_is_kept() {
        let mut transcript = Transcript::default();
        for number in 0..100 {
            transcript.read(&format!("line {number}"));
        }
        let words = transcript.last_words();
        assert!(words.starts_with("line 70\n") && words.ends_with("\nline 99"), "{words}");
    }
}
