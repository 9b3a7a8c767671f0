//! The report: bench/RESULTS.md.

mod tables;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::promises::verdicts;
use crate::results::Results;

/// Writes down what one run found. The same results give the same text.
pub(crate) fn text(results: &Results) -> String {
    let mut text = String::from(
        "# What was measured\n\n\
         Written by `make bench`; do not edit. Times are in milliseconds. Medians, with the time that 99 of 100 runs \
         are not above (the longest, when there are fewer than 100). No sample is left out. What is compared took \
         turns, so that other work on the machine hits all alike; only numbers of live sandboxes followed each other, \
         from few to many. A turn began after a pause of 50 ms, that of a large file or log after a sync and a second, \
         that of an image at once, and others as their rows say. Short things of one turn share its pause.\n",
    );
    let sections = [
        ("The machine", tables::machine(results)),
        ("Promises", promises(results)),
        ("Side by side", tables::rounds(results)),
        ("Creation while sandboxes live", tables::density(results)),
        ("Time to interactive", tables::interactive(results)),
        ("Many at once, large files, restarts", tables::core(results)),
        ("Memory of idle sandboxes", tables::idle(results)),
    ];
    for (title, content) in sections {
        if content.is_empty() {
            // Only other things were measured.
            continue;
        }
        // Writing into a string cannot fail.
        let _ = write!(text, "\n## {title}\n\n{content}");
    }
    text
}

fn promises(results: &Results) -> String {
    let mut text = String::from("| promise | found | |\n|---|---|---|\n");
    for verdict in verdicts(results) {
        let word = match verdict.is_reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not shown",
        };
        let _ = writeln!(text, "| {} | {} | {word} |", verdict.promise, verdict.found);
    }
    text
}
