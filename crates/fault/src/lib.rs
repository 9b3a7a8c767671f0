//! Points at which a process dies in tests.
//!
//! A point stands wherever state changes hands: after a row was written and before the machine is asked, after a disk
//! was renamed, after a process was made. In builds with debug assertions, a process that was started with
//! [`VARIABLE`] naming a point dies when it gets there, as `kill -9` would have it: nothing is unwound, flushed or
//! closed. Builds without debug assertions, which are those that are shipped, hold neither the points nor their names.
//!
//! The crash tests read the points from the source, so a new one is tested as soon as it is written.
#![forbid(unsafe_code)]

/// The variable that names the point at which this process dies.
#[cfg(debug_assertions)]
pub const VARIABLE: &str = "PITLANE_DIE_AT";

/// Dies here, if this process was told to.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    if armed::name().is_some_and(|armed| armed == name) {
        armed::die();
    }
}

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn point(_name: &'static str) {}

/// What a process that is started with an empty environment needs to be told, so that points in it count as well.
#[must_use]
pub fn environment() -> Option<(&'static str, String)> {
    #[cfg(debug_assertions)]
    return armed::name().map(|name| (VARIABLE, name.to_owned()));
    #[cfg(not(debug_assertions))]
    None
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;

    use rustix::process::{Signal, getpid, kill_process};

    static NAME: OnceLock<Option<String>> = OnceLock::new();

    pub(super) fn name() -> Option<&'static str> {
        #[expect(
            clippy::disallowed_methods,
            reason = "every process of the tests is told this way, whatever it is otherwise told"
        )]
        NAME.get_or_init(|| std::env::var(super::VARIABLE).ok()).as_deref()
    }

    pub(super) fn die() {
        kill_process(getpid(), Signal::KILL).ok();
        // The first process of a namespace hears no signal of its own. This ends it all the same, by a fault that the
        // kernel does not let it ignore; nothing is unwound or flushed here, either.
        std::process::abort()
    }
}
