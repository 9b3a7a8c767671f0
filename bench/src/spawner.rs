//! A small process that starts programs and times them.
//!
//! This tool is large and a client of servers; it would start programs slower than a small process does, and cannot
//! leave its own root and mounts. A spawner lives where the programs shall live: in the image's root, or where the
//! `unified` hierarchy of control groups is not mounted. It is asked in lines of JSON.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::dialogue::Dialogue;
use crate::program::command;

/// What became of a program.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    nanoseconds: u64,
    /// Why it does not count.
    failure: Option<String>,
}

/// Is a spawner, in `root` if there is one: answers orders until there are no more.
pub(crate) fn serve(root: Option<&Path>) -> anyhow::Result<()> {
    // The image's root has no devices of its own.
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    if let Some(root) = root {
        rustix::process::chroot(root).context("cannot change the root")?;
        std::env::set_current_dir("/")?;
    }
    for line in std::io::stdin().lock().lines() {
        let order: Vec<String> = serde_json::from_str(&line?).context("cannot read an order")?;
        let outcome = time(&order, &null)?;
        let mut answer = serde_json::to_vec(&outcome)?;
        answer.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&answer)?;
        stdout.flush()?;
    }
    Ok(())
}

fn time(order: &[String], null: &File) -> anyhow::Result<Outcome> {
    let (program, arguments) = order.split_first().context("an order without a program")?;
    let mut errors = tempfile_in_memory()?;
    let mut command = command(program, arguments);
    command.stdin(null.try_clone()?).stdout(null.try_clone()?).stderr(errors.try_clone()?);
    let started = Instant::now();
    let status = command.spawn().and_then(|mut child| child.wait());
    let took = started.elapsed();
    let failure = match status {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("{status}: {}", said(&mut errors)?)),
        Err(cause) => Some(cause.to_string()),
    };
    Ok(Outcome { nanoseconds: u64::try_from(took.as_nanos())?, failure })
}

/// A file that has no name and no file system.
fn tempfile_in_memory() -> anyhow::Result<File> {
    let file = rustix::fs::memfd_create("stderr", rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(file.into())
}

fn said(errors: &mut File) -> anyhow::Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut text = Vec::new();
    errors.rewind()?;
    errors.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// A running spawner. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Spawner(Dialogue);

impl Spawner {
    /// Starts one that sees what this process sees.
    pub(crate) fn here() -> anyhow::Result<Self> {
        Self::start(command(std::env::current_exe()?, ["spawner"]))
    }

    /// Starts one that sees what this process sees, but for the `unified` hierarchy of control groups.
    ///
    /// Where limits are version 1's and `unified` is mounted beside them, crun refuses to work.
    pub(crate) fn without_unified() -> anyhow::Result<Self> {
        const SCRIPT: &str = "! [ -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
            exec \"$0\" spawner";
        Self::start(unshare(SCRIPT, [std::env::current_exe()?.as_path()]))
    }

    /// Starts one whose root is a writable view of `root`, which lives in `scratch` and goes away with it.
    pub(crate) fn inside(root: &Path, scratch: &Path) -> anyhow::Result<Self> {
        const SCRIPT: &str = "mount -t tmpfs tmpfs \"$2\"
            mkdir \"$2/upper\" \"$2/work\" \"$2/root\"
            mount -t overlay -o \"lowerdir=$1,upperdir=$2/upper,workdir=$2/work\" overlay \"$2/root\"
            mount -t proc proc \"$2/root/proc\"
            mount --rbind /dev \"$2/root/dev\"
            exec \"$0\" spawner \"$2/root\"";
        let place = scratch.join("bare");
        std::fs::create_dir_all(&place).context("cannot make a folder")?;
        Self::start(unshare(SCRIPT, [std::env::current_exe()?.as_path(), root, &place]))
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        Ok(Self(Dialogue::start(&mut command).context("cannot start a spawner")?))
    }

    /// Runs a program to its end and gives how long that took.
    ///
    /// # Errors
    ///
    /// It could not be started or failed: what it said.
    pub(crate) fn time(&mut self, program: &[String]) -> anyhow::Result<Duration> {
        let outcome: Outcome = self.0.ask(program)?;
        if let Some(failure) = outcome.failure {
            bail!("{} failed: {failure}", program.first().map_or("", String::as_str));
        }
        Ok(Duration::from_nanos(outcome.nanoseconds))
    }
}

/// A script in a mount namespace of its own, with `arguments` from `$0` on.
fn unshare<'a>(script: &'a str, arguments: impl IntoIterator<Item = &'a Path>) -> Command {
    let mut command = command("unshare", ["--mount", "--propagation", "private", "sh", "-euc"]);
    command.arg(script).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(program: &[&str]) -> Outcome {
        let program: Vec<String> = program.iter().map(|&part| part.to_owned()).collect();
        time(&program, &File::options().read(true).write(true).open("/dev/null").unwrap()).unwrap()
    }

    #[test]
    fn a_program_that_succeeds_has_a_time_and_no_failure() {
        let outcome = outcome(&["/bin/true"]);
        assert_eq!(outcome.failure, None);
        assert!(outcome.nanoseconds > 0);
    }

    #[test]
    fn a_program_that_fails_does_not_count_and_says_why() {
        let outcome = outcome(&["/bin/sh", "-c", "echo no room >&2; exit 3"]);
        assert_eq!(outcome.failure.as_deref(), Some("exit status: 3: no room"));
    }
}
