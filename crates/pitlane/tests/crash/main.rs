//! Whole servers that die: at every point where state changes hands, at random moments under load, in an upgrade, on a
//! full disk.
//!
//! Needs root. The points are read from the source, so each is a test as soon as it is written. `soak CYCLES SECONDS`
//! instead of a test's name runs the long measurements, which `make soak` prints.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test starts the program it tests, told by variables which"
)]

mod builds;
mod client;
mod contexts;
mod full;
mod full_images;
mod kills;
mod ledger;
mod objects;
mod points;
mod pools;
mod processes;
mod registries;
mod server;
mod small_disk;
mod snapshots;
mod soak;
mod traces;
mod upgrade;
mod volumes;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, cycles, seconds] = &arguments[..]
        && command == "soak"
    {
        soak::soak(cycles.parse().unwrap(), seconds.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let tests = [
        points::trials(),
        processes::trials(),
        kills::trials(),
        full::trials(),
        full_images::trials(),
        upgrade::trials(),
        pools::trials(),
        builds::trials(),
        objects::trials(),
        snapshots::trials(),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().flatten().collect()).exit_code()
}

/// A test by its name; the test runner knows by the module's name that few of these run at a time.
fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(format!("privileged::{name}"), move || {
        test();
        Ok(())
    })
}

/// Waits for a condition, a minute at most.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !condition() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "not in a minute: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
}
