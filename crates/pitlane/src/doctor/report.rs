//! `pitlane doctor --report`: what a maintainer needs to know to understand a fault, and nothing that is secret.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::counts;
use crate::failure::{Doing as _, Failure};
use crate::serve::{ADDRESS_FILE, DATABASE_FILE, RECENT_TROUBLE_FILE, has_daemon, run_folder};
use crate::settings::{Settings, Shown};

/// How much of the end of a log is told.
const TAIL_BYTES: u64 = 16 * 1024;

const HEAD: &str = "\
Report of `pitlane doctor --report`. It has no keys, tokens or contents of sandboxes in it, but names of folders,
addresses and ids: read it before you give it away.
";

/// The settings of the kernel that decide how many of what there can be.
const KERNEL_SETTINGS: [&str; 14] = [
    "fs/file-max",
    "fs/file-nr",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "fs/nr_open",
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/keys/maxkeys",
    "kernel/pid_max",
    "kernel/threads-max",
    "net/ipv4/ip_forward",
    "user/max_cgroup_namespaces",
    "user/max_mnt_namespaces",
    "user/max_net_namespaces",
    "user/max_user_namespaces",
];

/// Writes the whole report as text. `checks` is what doctor says without it.
pub(super) fn text(settings: &Settings, shown: &[Shown], checks: &str) -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "Versions", &versions());
    section(&mut text, "Checks", checks);
    section(&mut text, "Settings", &settings_told(shown));
    section(&mut text, "Machine", &machine());
    section(&mut text, "Disks", &disks(settings));
    section(&mut text, "State", &state(settings));
    section(&mut text, "Recent trouble of the server", &recent_trouble(settings));
    section(&mut text, "Log of the launcher", &launcher_log(settings));
    text
}

/// Writes the report to a file for its owner's eyes alone.
pub(super) fn keep(text: &str, path: &Path) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| {
            // One that was there keeps its mode otherwise. What is no file, as a pipe or a terminal, keeps its own.
            if file.metadata()?.is_file() {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            file.write_all(text.as_bytes())
        })
        .doing(format!("cannot write {}", path.display()))
}

fn section(text: &mut String, title: &str, content: &str) {
    let content = content.trim_end();
    let content = if content.is_empty() { "(nothing)" } else { content };
    *text += &format!("\n## {title}\n\n{content}\n");
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    *text += &format!("{name}: {value}\n");
}

fn versions() -> String {
    let mut text = String::new();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    line(&mut text, "pitlane", format_args!("{} ({build})", env!("CARGO_PKG_VERSION")));
    line(&mut text, "daemon in this binary", if has_daemon() { "yes" } else { "no" });
    let system = rustix::system::uname();
    let word = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    line(
        &mut text,
        "kernel",
        format_args!(
            "{} {} {}",
            word(system.release()),
            word(system.version()),
            word(system.machine())
        ),
    );
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line(&mut text, "distribution", name.unwrap_or("unknown").trim_matches('"'));
    text
}

fn settings_told(shown: &[Shown]) -> String {
    let mut text = String::new();
    for Shown { key, value, place } in shown {
        let value = if value.is_empty() { "none" } else { value };
        line(&mut text, key, format_args!("{value}   ({place})"));
    }
    text
}

fn machine() -> String {
    let mut text = String::new();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    line(&mut text, "processors", processors);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for name in ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"] {
        let value = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line(&mut text, name, value.unwrap_or("unknown").trim());
    }
    for file in ["/proc/loadavg", "/proc/uptime", "/proc/sys/vm/overcommit_memory"] {
        line(&mut text, file, fs::read_to_string(file).unwrap_or_default().trim());
    }
    for name in KERNEL_SETTINGS {
        let value: Option<String> = counts::setting(name);
        let value = value.map_or_else(|| "not there".to_owned(), |value| value.replace('\t', " "));
        line(&mut text, &name.replace('/', "."), value);
    }
    for (name, resource) in [
        ("open files of a process", Resource::Nofile),
        ("processes of a user", Resource::Nproc),
        ("locked memory", Resource::Memlock),
        ("core files", Resource::Core),
    ] {
        let limit = getrlimit(resource);
        let told = |value: Option<u64>| value.map_or("none".to_owned(), |value| value.to_string());
        let (current, maximum) = (told(limit.current), told(limit.maximum));
        line(&mut text, &format!("limit of {name}"), format_args!("{current}, at most {maximum}"));
    }
    text
}

fn disks(settings: &Settings) -> String {
    let mut text = String::new();
    let run = run_folder(settings);
    let folders =
        [("state", &settings.state), ("image cache", &settings.image_cache), ("run-time", &run)];
    for (name, folder) in folders {
        let existing = folder.ancestors().find(|folder| folder.is_dir());
        let existing = existing.unwrap_or(Path::new("/"));
        let told = match rustix::fs::statvfs(existing) {
            Ok(status) => {
                let gib =
                    |blocks: u64| (blocks.saturating_mul(status.f_frsize) >> 20) as f64 / 1024.0;
                format!(
                    "{}: {:.1} of {:.1} GiB free, {} of {} files free",
                    existing.display(),
                    gib(status.f_bavail),
                    gib(status.f_blocks),
                    status.f_favail,
                    status.f_files,
                )
            }
            Err(errno) => format!("{}: {errno}", existing.display()),
        };
        line(&mut text, name, told);
        line(&mut text, &format!("{name}: file system"), file_system(existing));
    }
    text
}

/// The kind and options of the file system that a folder is on.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let holding = mounts.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        folder.starts_with(point).then_some((point.len(), mount.split(' ').nth(5)?, source))
    });
    match holding.max_by_key(|(length, ..)| *length) {
        Some((_, options, source)) => {
            format!("{} ({options})", source.split(' ').next().unwrap_or_default())
        }
        None => "unknown".to_owned(),
    }
}

fn state(settings: &Settings) -> String {
    let mut text = String::new();
    let kib = |name: String| match fs::metadata(settings.state.join(&name)) {
        Ok(metadata) => format!("{} KiB", metadata.len().div_ceil(1024)),
        Err(cause) => cause.to_string(),
    };
    line(&mut text, "database", kib(DATABASE_FILE.to_owned()));
    line(&mut text, "write-ahead log", kib(format!("{DATABASE_FILE}-wal")));
    let count = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    line(&mut text, "entries in the state folder", count(&settings.state));
    let run = run_folder(settings);
    line(&mut text, "entries in the run-time folder", count(&run));
    let address = fs::read_to_string(settings.state.join(ADDRESS_FILE)).unwrap_or_default();
    line(&mut text, "address of the last server", address.trim());
    line(&mut text, "a server runs", if is_locked(settings) { "yes" } else { "no" });
    text
}

/// Whether a server holds the state folder.
fn is_locked(settings: &Settings) -> bool {
    let lock = fs::OpenOptions::new().write(true).open(settings.state.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

fn recent_trouble(settings: &Settings) -> String {
    let path = settings.state.join(RECENT_TROUBLE_FILE);
    let earlier = tail(&path.with_extension("old"));
    let text = format!("{earlier}{}", tail(&path));
    last(&text, TAIL_BYTES)
}

fn launcher_log(settings: &Settings) -> String {
    let entries = fs::read_dir(run_folder(settings)).into_iter().flatten().flatten();
    let is_log = |name: &str| name.starts_with("launcher") && name.ends_with(".log");
    let logs = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_log));
    logs.map(|entry| tail(&entry.path())).collect()
}

/// The last whole lines of a file; nothing if it is not there.
fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    last(&read().unwrap_or_default(), TAIL_BYTES - 1)
}

/// The last whole lines of a text, in at most so many bytes.
fn last(text: &str, most: u64) -> String {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut kept: Vec<&str> = Vec::new();
    let mut length = 0;
    for line in text.lines().rev() {
        length += line.len() + 1;
        if length > most {
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    let mut text = kept.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_told_in_whole_lines() {
        assert_eq!(last("one\ntwo\nthree\n", 10), "two\nthree\n");
        assert_eq!(last("one\ntwo\nthree", 9), "three\n");
        assert_eq!(last("a line that is too long", 5), "");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(tail(&folder.path().join("nowhere")), "");
    }

    #[test]
    fn a_report_is_its_owners_alone_also_where_a_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        fs::write(&path, "something longer than the report").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        keep("report", &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "report");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        keep("report", Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn a_folder_is_on_the_file_system_that_is_mounted_nearest() {
        assert!(file_system(Path::new("/proc/self")).starts_with("proc ("));
        assert_ne!(file_system(Path::new("/")), "unknown");
    }
}
