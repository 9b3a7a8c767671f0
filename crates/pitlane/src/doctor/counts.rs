//! Counts that the kernel keeps for the whole machine, and how fast control groups take processes in.

use std::fs;
use std::str::FromStr;

use pitlane_sys::Hierarchies;

use super::check::Check;

/// Below this, a handful of sandboxes at their limits can use up the machine's process numbers.
const PROCESS_NUMBERS: u64 = 4_194_304;

/// Below this, a handful of sandboxes can use up the machine's open files.
const OPEN_FILES: u64 = 1_000_000;

/// The checks of what is shared by everything on the machine.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        count(
            "open files",
            "fs/file-max",
            OPEN_FILES,
            "sysctl -w fs.file-max=4000000, and keep it in /etc/sysctl.d",
        ),
        count(
            "process numbers",
            "kernel/pid_max",
            PROCESS_NUMBERS,
            "sysctl -w kernel.pid_max=4194304, and keep it in /etc/sysctl.d",
        ),
    ];
    if matches!(Hierarchies::detect(), Ok(Hierarchies::V2 { .. })) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        checks.push(moving(&mounts));
    }
    checks
}

/// The number in a file of the kernel's settings.
pub(super) fn setting<T: FromStr>(name: &str) -> Option<T> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

fn count(name: &'static str, file: &str, enough: u64, fix: &str) -> Check {
    let setting_name = file.replace('/', ".");
    match setting::<u64>(file) {
        Some(number) if number >= enough => {
            Check::good(name, format!("{setting_name} is {number}"))
        }
        Some(number) => Check::limited(
            name,
            format!("{setting_name} is {number}, which many sandboxes at their limits can use up"),
            fix,
        ),
        None => Check::limited(name, format!("{setting_name} cannot be read"), fix),
    }
}

/// Whether a process can be moved to another group without waiting for every processor.
fn moving(mounts: &str) -> Check {
    let name = "moving processes";
    let groups = mounts.lines().find_map(|line| {
        let (_, source) = line.split_once(" - ")?;
        let mut words = source.split(' ');
        (words.next() == Some("cgroup2")).then(|| words.nth(1).unwrap_or_default())
    });
    match groups {
        Some(options) if options.split(',').any(|option| option == "favordynmods") => {
            Check::good(name, "control groups are mounted with favordynmods")
        }
        Some(_) => Check::limited(
            name,
            "takes several milliseconds for each command",
            "mount -o remount,favordynmods /sys/fs/cgroup makes it a fraction of one",
        ),
        None => Check::untried(name, "the mount of the control groups was not found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;

    #[test]
    fn the_option_is_found_among_those_of_the_file_system() {
        let line = |options: &str| {
            format!("25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 {options}\n")
        };
        let before = "22 1 8:1 / / rw - ext4 /dev/sda1 rw,favordynmods\n";
        for (options, verdict) in [
            ("rw,nsdelegate,favordynmods,memory_recursiveprot", Verdict::Good),
            ("rw,favordynmods", Verdict::Good),
            ("rw,nsdelegate", Verdict::Limited),
        ] {
            assert_eq!(moving(&format!("{before}{}", line(options))).verdict, verdict, "{options}");
        }
        assert_eq!(moving(before).verdict, Verdict::Untried);
    }
}
