//! Real sandboxes, made by the engine and looked at from inside.
//!
//! Needs root. The test program is its own launcher, so these tests need no other binary than the daemon, which is
//! found by `PITLANE_DAEMON`, else where `cargo xtask daemon` puts it. Without one of them they fail and say so.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod attacks;
mod crash;
mod life;
mod limits;
mod neighbours;
mod network;
mod objects;
mod rest;
mod snapshots;
mod support;
mod volumes;
mod waiting;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use pitlane_engine::{LauncherArguments, run_launcher};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // The launcher must have one thread: it is dispatched before anything could start another.
        ["launch", run] => return run_launcher(&LauncherArguments { run: run.into() }),
        [word] if word == pitlane_objects::VOLUME_FILES => {
            return pitlane_objects::run_volume_files();
        }
        ["hold", root, name, running, stopped, objects] => {
            return crash::hold([root, name, running, stopped, objects]);
        }
        _ => {}
    }
    let tests = [
        attacks::tests(),
        crash::tests(),
        life::tests(),
        limits::tests(),
        neighbours::tests(),
        network::tests(),
        objects::tests(),
        rest::tests(),
        snapshots::tests(),
        volumes::tests(),
        waiting::tests(),
    ];
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
