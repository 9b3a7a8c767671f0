use std::time::Duration;

use super::*;
use crate::machine::Machine;
use crate::results::{Found, Interactive, Measure, Modes, Population, Row, Run};
use crate::samples::Samples;

fn samples(milliseconds: &[u64]) -> Samples {
    milliseconds.iter().map(|&time| Duration::from_millis(time)).collect()
}

fn run(milliseconds: u64, failures: &[&str]) -> Run {
    let succeeded = 100 - failures.len();
    Run {
        total: samples(&vec![milliseconds; succeeded]),
        create: samples(&vec![milliseconds / 2; succeeded]),
        failures: failures.iter().map(|&failure| failure.to_owned()).collect(),
        seconds: 1.5,
    }
}

fn modes(milliseconds: u64, failures: &[&str]) -> Modes {
    Modes {
        sequential: run(milliseconds, &[]),
        staggered: run(milliseconds, &[]),
        burst: run(milliseconds * 10, failures),
    }
}

/// A run with these medians of create and of everything at 500 sandboxes.
fn results(create: u64, crowded: u64, failures: &[&str], docker: Found) -> Results {
    let row = |measure, time| Row { measure, found: Found::Samples(samples(&[time])) };
    Results {
        machine: Machine {
            processors: 2,
            processor: "made up".to_owned(),
            memory_mib: 1024,
            kernel: "6.1".to_owned(),
            system: "Debian".to_owned(),
            programs: vec![("crun".to_owned(), "1.8".to_owned())],
        },
        load: [0.25, 1.5],
        seconds: 7,
        rounds: vec![
            row(Measure::BareTrue, 1),
            row(Measure::Crun, 10),
            Row { measure: Measure::Docker, found: docker },
            row(Measure::Create, create),
            row(Measure::Exec, 4),
            row(Measure::Whole, 12),
            row(Measure::CreateUnprepared, 6),
        ],
        density: vec![
            Population { live: 0, create: samples(&[10]) },
            Population { live: 500, create: samples(&[crowded]) },
        ],
        interactive: Interactive {
            bare_probe: samples(&[20]),
            bare_node: samples(&[60]),
            fake: modes(10, &[]),
            real: modes(100, failures),
        },
    }
}

#[test]
fn a_run_that_reaches_its_promises_says_so() {
    let docker = Found::Samples(samples(&[300]));
    insta::assert_snapshot!(text(&results(5, 13, &[], docker)));
}

#[test]
fn a_promise_that_is_missed_by_a_little_is_not_reached() {
    let docker = Found::Nothing("no\nnetwork".to_owned());
    let failed = results(6, 14, &["no room"], docker);
    let words: Vec<_> =
        verdicts(&failed).into_iter().map(|verdict| (verdict.found, verdict.is_reached)).collect();
    assert_eq!(
        words,
        [
            ("6.00 ms / 10.00 ms = 0.60".to_owned(), Some(false)),
            ("6.00 ms / 10.00 ms = 0.60".to_owned(), Some(false)),
            ("not measured".to_owned(), None),
            ("4.00 ms - 1.00 ms = 3.00 ms over".to_owned(), Some(true)),
            ("100.0 ms - 80.0 ms bare - 10.0 ms calls = 10.0 ms over".to_owned(), Some(true)),
            ("99 succeeded, 1 failed".to_owned(), Some(false)),
            ("14.00 ms / 10.00 ms = 1.40".to_owned(), Some(false)),
        ]
    );
}
