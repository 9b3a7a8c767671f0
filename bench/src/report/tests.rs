use std::time::Duration;

use super::*;
use crate::machine::Machine;
use crate::results::{
    Builds, Code, Crowd, Found, IdleMemory, Images, Interactive, Interpreters, Listing, Mcp,
    Measure, Modes, Population, Restart, Row, Run, Sessions, SnapshotTimes, Snapshots, Terminals,
    Transfer, Warm,
};
use crate::samples::Samples;
use crate::server::Memory;

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

/// The machine's memory with so many sandboxes, whose daemons and the kernel take so many MiB.
fn idle(sandboxes: usize, mib: u64) -> IdleMemory {
    IdleMemory {
        sandboxes,
        server_kib: 20 << 10,
        launcher_kib: 3 << 10,
        daemons_kib: mib << 7,
        kernel_kib: (300 << 10) + (mib << 10),
    }
}

/// A run with these medians of create and of everything at 500 sandboxes.
fn results(create: u64, crowded: u64, failures: &[&str], docker: Found) -> Results {
    let row = |measure, time| Row { measure, found: Found::Samples(samples(&[time])) };
    Results {
        commit: "0123456789ab".to_owned(),
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
        interactive: Some(Interactive {
            bare_probe: samples(&[20]),
            bare_node: samples(&[60]),
            fake: modes(10, &[]),
            real: modes(100, failures),
        }),
        listing: Some(Listing { sandboxes: 1000, pages: 5, whole: samples(&[10]) }),
        transfer: Some(Transfer {
            mib: 1024,
            upload: samples(&[1000]),
            download: samples(&[500]),
            bare_upload: samples(&[600]),
            bare_download: samples(&[299]),
            memory_before: Memory { now_kib: 30 << 10, peak_kib: 30 << 10 },
            memory_after: Memory { now_kib: 31 << 10, peak_kib: 46 << 10 },
        }),
        crowd: Some(Crowd {
            clients: 16,
            create: samples(&vec![10; 200 - failures.len()]),
            failures: failures.iter().map(|&failure| failure.to_owned()).collect(),
            seconds: 0.5,
        }),
        restart: Some(Restart { sandboxes: 500, ready: samples(&[2000]) }),
        sessions: Some(Sessions {
            bare: samples(&[1]),
            execute: samples(&[4]),
            exec: samples(&[2]),
            mib: 1024,
            bare_stream: samples(&[200]),
            bare_kept: samples(&[300]),
            stream: samples(&[500]),
            again: samples(&[400]),
        }),
        interpreters: Some(Interpreters { context: samples(&[20]), round_trip: samples(&[1]) }),
        code: Some(Code {
            bare_python: samples(&[10]),
            bare_node: samples(&[40]),
            first: samples(&[14]),
            later: samples(&[5]),
            node: samples(&[44]),
        }),
        terminals: Some(Terminals { echo: samples(&[1]) }),
        mcp: Some(Mcp { bare: samples(&[3]), call: samples(&[4]) }),
        images: Some(Images { megabytes: 151, pull: samples(&[6000]), peer: samples(&[9000]) }),
        warm: Some(Warm {
            warm: samples(&[1]),
            cold: samples(&[6]),
            idle: vec![idle(0, 0), idle(10, 10), idle(1000, 1100)],
        }),
        snapshots: Some(snapshots()),
        builds: Some(builds()),
    }
}

fn snapshots() -> Snapshots {
    Snapshots {
        mib: 1024,
        host_kind: "ext4".to_owned(),
        host: SnapshotTimes { empty: samples(&[15]), full: samples(&[1500]) },
        xfs: SnapshotTimes { empty: samples(&[15]), full: samples(&[20]) },
    }
}

fn builds() -> Builds {
    let [anew, again, sandbox] = [4000, 60, 70].map(|time| samples(&[time]));
    Builds { files: 300, steps: 6, anew, again, sandbox }
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
            ("10.00 ms in 5 pages".to_owned(), Some(true)),
            ("600 ms bare / 1000 ms = 60 %".to_owned(), Some(true)),
            ("299 ms bare / 500 ms = 60 %".to_owned(), Some(false)),
            ("30 MiB before, at most 46 MiB".to_owned(), Some(true)),
            ("1 failed, 10.0 ms / 10.0 ms = 1.0".to_owned(), Some(false)),
            ("2000 ms".to_owned(), Some(true)),
            ("2.00 ms − 1.00 ms = 1.00 ms".to_owned(), Some(true)),
            ("300 ms / 500 ms = 60 %".to_owned(), Some(true)),
            ("1.00 ms".to_owned(), Some(true)),
            ("5.00 ms / 10.00 ms = 0.50".to_owned(), Some(true)),
            ("1.00 ms".to_owned(), Some(true)),
            ("4.00 ms − 3.00 ms = 1.00 ms".to_owned(), Some(true)),
            ("1.00 ms".to_owned(), Some(true)),
            ("6.00 ms / 1.00 ms = 6.0 times faster".to_owned(), Some(true)),
            ("1267 KiB".to_owned(), Some(true)),
            ("9000 ms / 6000 ms = 1.50".to_owned(), Some(true)),
            ("20.00 ms / 15.00 ms = 1.33".to_owned(), Some(true)),
            ("60.0 ms; 4000 ms where nothing is known".to_owned(), Some(true)),
        ]
    );
}

#[test]
fn what_was_not_measured_has_no_table_and_shows_nothing() {
    let mut results = results(5, 13, &[], Found::Samples(samples(&[300])));
    (results.rounds, results.density, results.interactive) = (Vec::new(), Vec::new(), None);
    (results.listing, results.transfer, results.restart) = (None, None, None);
    (results.sessions, results.interpreters) = (None, None);
    (results.code, results.terminals, results.mcp) = (None, None, None);
    results.warm = None;
    results.snapshots = None;
    results.builds = None;
    results.images = None;
    results.crowd.as_mut().unwrap().create = samples(&[10; 50]);
    insta::assert_snapshot!(text(&results));
}
