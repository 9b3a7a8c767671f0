//! Images pulled from registries that these tests run themselves, honest ones and others.
//!
//! Needs root. The test program is its own unpacker.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod confinement;
mod forge;
mod full;
mod honest;
mod hostile;
mod owners;
mod server;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use pitlane_image::{UNPACK, run_unpacker};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // An unpacker must have one thread: it is dispatched before anything could start another.
    if arguments.next().is_some_and(|first| first == UNPACK) {
        return run_unpacker(arguments);
    }
    let tests =
        [confinement::tests(), honest::tests(), hostile::tests(), owners::tests(), full::tests()];
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
