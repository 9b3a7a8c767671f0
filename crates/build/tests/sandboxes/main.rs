//! Real builds, in real sandboxes.
//!
//! Needs root. The test program is its own launcher, so these tests need no other binary than the daemon, which is
//! found by `PITLANE_DAEMON`, else where `cargo xtask daemon` puts it. Without one of them they fail and say so.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod archives;
mod failures;
mod files;
mod packages;
mod steps;
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use pitlane_engine::{LauncherArguments, run_launcher};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The launcher must have one thread: it is dispatched before anything could start another.
    if let ["launch", run] = arguments[..] {
        return run_launcher(&LauncherArguments { run: run.into() });
    }
    let tests =
        [archives::tests(), failures::tests(), files::tests(), packages::tests(), steps::tests()];
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().flatten().collect()).exit_code()
}

/// A test by its name.
fn trial<F>(name: &'static str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(format!("privileged::{name}"), move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(test());
        Ok(())
    })
}

/// Lists test functions under their own names.
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn tests() -> Vec<libtest_mimic::Trial> {
            vec![$(crate::trial(stringify!($name), $name)),*]
        }
    };
}
pub(crate) use trials;
