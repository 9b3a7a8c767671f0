//! The processes that a process has started, found by looking at all of them.
//!
//! The second-best way to end a tree, where there is no control group for it: a process that left both its session and
//! its parent before anybody looked is not found.

use std::collections::BTreeSet;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context as _, SyscallError};

/// How often the tree is looked at for processes that were started meanwhile, before it is killed as it is.
const ROUNDS: u32 = 16;

/// What one line of `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    has_ended: bool,
}

/// Kills the session that `leader` leads, and all descendants of what is in it; answers how many of them have not ended
/// yet. Repeat with the same `killed`, empty at first, until there are none: a process that was killed may have lost the
/// parent by which it was found before it ends.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn kill_session(leader: i32, killed: &mut BTreeSet<i32>) -> Result<usize, SyscallError> {
    kill_found(killed, |entries| session(entries, leader))
}

/// Kills all descendants of the process `ancestor`, but not itself; answers how many of them have not ended yet. Repeat
/// as [`kill_session`].
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn kill_descendants(ancestor: i32, killed: &mut BTreeSet<i32>) -> Result<usize, SyscallError> {
    kill_found(killed, |entries| children(entries, ancestor))
}

/// Sends SIGTERM to all descendants of the process `ancestor`; answers how many there were.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn terminate_descendants(ancestor: i32) -> Result<usize, SyscallError> {
    let entries = entries()?;
    let tree = closure(&entries, children(&entries, ancestor));
    tree.iter().for_each(|pid| signal(*pid, Signal::TERM));
    Ok(tree.len())
}

/// Sends SIGTERM to the session that `leader` leads and to all descendants of what is in it; answers how many there
/// were.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn terminate_session(leader: i32) -> Result<usize, SyscallError> {
    let entries = entries()?;
    let tree = closure(&entries, session(&entries, leader));
    tree.iter().for_each(|pid| signal(*pid, Signal::TERM));
    Ok(tree.len())
}

/// How many processes are in the session that `leader` leads, with all their descendants.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn count_session(leader: i32) -> Result<usize, SyscallError> {
    let entries = entries()?;
    Ok(closure(&entries, session(&entries, leader)).len())
}

fn session(entries: &[Entry], leader: i32) -> BTreeSet<i32> {
    let is_root =
        |entry: &&Entry| entry.pid == leader || entry.session == leader || entry.group == leader;
    entries.iter().filter(is_root).map(|entry| entry.pid).collect()
}

fn children(entries: &[Entry], parent: i32) -> BTreeSet<i32> {
    entries.iter().filter(|entry| entry.parent == parent).map(|entry| entry.pid).collect()
}

fn kill_found(
    killed: &mut BTreeSet<i32>,
    roots: impl Fn(&[Entry]) -> BTreeSet<i32>,
) -> Result<usize, SyscallError> {
    let mut stopped = BTreeSet::new();
    // A stopped process starts no others, so this comes to an end before anything is killed and its children lose the
    // parent by which they are found.
    for _ in 0..ROUNDS {
        let entries = entries()?;
        let tree = closure(&entries, roots(&entries));
        let new: Vec<i32> = tree.difference(&stopped).copied().collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|pid| signal(*pid, Signal::STOP));
        stopped.extend(new);
    }
    stopped.iter().for_each(|pid| signal(*pid, Signal::KILL));
    killed.extend(stopped);
    let is_left = |entry: &&Entry| !entry.has_ended && killed.contains(&entry.pid);
    Ok(entries()?.iter().filter(is_left).count())
}

/// Adds children until there are none to add; leaves out what has ended and only waits to be reaped.
fn closure(entries: &[Entry], mut tree: BTreeSet<i32>) -> BTreeSet<i32> {
    loop {
        let before = tree.len();
        for entry in entries {
            if tree.contains(&entry.parent) {
                tree.insert(entry.pid);
            }
        }
        if tree.len() == before {
            break;
        }
    }
    for entry in entries.iter().filter(|entry| entry.has_ended) {
        tree.remove(&entry.pid);
    }
    tree
}

fn entries() -> Result<Vec<Entry>, SyscallError> {
    let folder = std::fs::read_dir("/proc").context("readdir(/proc)")?;
    let mut entries = Vec::new();
    for entry in folder {
        let name = entry.context("readdir(/proc)")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // One that is gone by now needs no line.
        let Ok(line) = std::fs::read(format!("/proc/{pid}/stat")) else { continue };
        entries.extend(parse(pid, &String::from_utf8_lossy(&line)));
    }
    Ok(entries)
}

/// The name of a program may contain spaces and brackets: the fields begin after the last one.
fn parse(pid: i32, line: &str) -> Option<Entry> {
    let (_, fields) = line.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let has_ended = matches!(fields.next()?, "Z" | "X" | "x");
    let mut number = || fields.next()?.parse::<i32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    Some(Entry { pid, parent, group, session, has_ended })
}

fn signal(pid: i32, signal: Signal) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    match kill_process(pid, signal) {
        // Gone, or not ours to kill: the next look tells which.
        Ok(()) | Err(Errno::SRCH | Errno::PERM) => {}
        Err(_) => debug_assert!(false, "kill(2) has no other errors for a valid signal"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line = "7 (a) S 1 (b) R 3 7 6 0 -1 4194304";
        let wanted = Entry { pid: 7, parent: 3, group: 7, session: 6, has_ended: false };
        assert_eq!(parse(7, line), Some(wanted));
    }

    #[test]
    fn a_tree_has_all_generations_and_nothing_that_has_ended() {
        let entry = |pid, parent| Entry { pid, parent, group: 0, session: 0, has_ended: pid == 5 };
        let entries = [entry(9, 4), entry(4, 3), entry(3, 2), entry(5, 4), entry(8, 1)];
        assert_eq!(closure(&entries, [3].into()), [3, 4, 9].into());
    }
}
