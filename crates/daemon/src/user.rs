//! Whom commands and files belong to, as the image's `/etc/passwd` and `/etc/group` say.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use pitlane_sys::Identity;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::files::is_the_kernels;

/// Larger than any list of users.
const MAX_LIST: u64 = 4 << 20;
/// As large as most.
const USUAL_LIST: usize = 4 << 10;

/// The sandbox's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Its name, or its id where it has no name.
    pub(crate) name: String,
    /// `None` for the user the daemon itself runs as, when it cannot or need not change.
    pub(crate) identity: Option<Identity>,
    /// Its home folder.
    pub(crate) home: String,
    /// Its shell, where it has one.
    pub(crate) shell: Option<String>,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("no line of /etc/passwd has this name")]
    Unknown,
    #[error("no line of /etc/group has this name")]
    UnknownGroup,
    #[error("cannot read {list}")]
    List {
        list: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl User {
    /// Looks up `NAME`, `UID`, `NAME:GROUP` or `UID:GID`; empty is whoever the daemon runs as.
    pub(crate) fn find(wanted: &str) -> Result<Self, UserError> {
        let passwords = read("/etc/passwd")?;
        let groups = read("/etc/group")?;
        if wanted.is_empty() {
            let uid = rustix::process::getuid().as_raw().to_string();
            let found = Self::look_up(&uid, &passwords, &groups)?;
            return Ok(Self { identity: None, ..found });
        }
        match Self::look_up(wanted, &passwords, &groups) {
            Err(UserError::Unknown) if !has_users(&passwords) => {
                Self::owner_of(Path::new("/home"), wanted).ok_or(UserError::Unknown)
            }
            found => found,
        }
    }

    /// Whoever owns the home folder of this name. Root inside may have lost the list of users; the files that are left
    /// can be reached all the same.
    fn owner_of(homes: &Path, wanted: &str) -> Option<Self> {
        let (name, _group) = wanted.split_once(':').unwrap_or((wanted, ""));
        let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        let home = homes.join(name);
        let owned =
            std::fs::symlink_metadata(&home).ok().filter(|found| found.is_dir() && is_plain)?;
        let (uid, gid) = (owned.uid(), owned.gid());
        (uid != 0).then(|| Self {
            name: name.to_owned(),
            identity: Some(Identity::new(uid, gid, &[gid])),
            home: home.to_string_lossy().into_owned(),
            shell: None,
        })
    }

    fn look_up(wanted: &str, passwords: &str, groups: &str) -> Result<Self, UserError> {
        let (user, group) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (wanted, None),
        };
        let entries = || passwords.lines().filter_map(Password::parse);
        let number = user.parse::<u32>().ok();
        // A name of digits is a name first, as everywhere.
        let entry = entries()
            .find(|entry| entry.name == user)
            .or_else(|| entries().find(|entry| Some(entry.uid) == number));
        let (uid, own_group) = match (&entry, number) {
            (Some(entry), _) => (entry.uid, entry.gid),
            // Images may name an id that has no line: it has no groups and no home.
            (None, Some(uid)) => (uid, 0),
            (None, None) => return Err(UserError::Unknown),
        };
        let gid = match group {
            Some(group) => find_group(group, groups)?,
            None => own_group,
        };
        let name = entry.as_ref().map_or_else(|| user.to_owned(), |entry| entry.name.to_owned());
        let memberships: Vec<u32> = memberships(&name, gid, groups);
        let text = |value: &str| Some(value.to_owned()).filter(|value| value.starts_with('/'));
        Ok(Self {
            identity: Some(Identity::new(uid, gid, &memberships)),
            home: entry.as_ref().and_then(|entry| text(entry.home)).unwrap_or_else(|| "/".into()),
            shell: entry.as_ref().and_then(|entry| text(entry.shell)),
            name,
        })
    }
}

fn has_users(passwords: &str) -> bool {
    passwords.lines().any(|line| Password::parse(line).is_some())
}

/// The id of a user by name or number.
pub(crate) fn find_uid(wanted: &str) -> Option<u32> {
    let passwords = read("/etc/passwd").ok()?;
    let mut entries = passwords.lines().filter_map(Password::parse);
    entries
        .find(|entry| entry.name == wanted)
        .map(|entry| entry.uid)
        .or_else(|| wanted.parse().ok())
}

/// The id of a group by name or number.
pub(crate) fn find_gid(wanted: &str) -> Option<u32> {
    find_group(wanted, &read("/etc/group").ok()?).ok()
}

/// One line of `/etc/passwd`: name, password, uid, gid, comment, home, shell.
struct Password<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Password<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let (_comment, home) = (fields.next()?, fields.next()?);
        Some(Self { name, uid, gid, home, shell: fields.next().unwrap_or_default() })
    }
}

/// Lines of `/etc/group`: name, password, gid, members.
fn group_lines(groups: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let gid = fields.next()?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn find_group(wanted: &str, groups: &str) -> Result<u32, UserError> {
    let named = group_lines(groups).find(|(name, _, _)| *name == wanted).map(|(_, gid, _)| gid);
    named.or_else(|| wanted.parse().ok()).ok_or(UserError::UnknownGroup)
}

fn memberships(user: &str, own: u32, groups: &str) -> Vec<u32> {
    let others = group_lines(groups)
        .filter(|(_, gid, members)| *gid != own && members.split(',').any(|name| name == user))
        .map(|(_, gid, _)| gid);
    std::iter::once(own).chain(others).collect()
}

/// The list belongs to the sandbox: it may be missing, endless or no file at all. What is no regular file has no lines.
fn read(list: &'static str) -> Result<String, UserError> {
    read_path(Path::new(list)).map_err(|cause| UserError::List { list, cause })
}

fn read_path(path: &Path) -> io::Result<String> {
    // Without waiting for the other end of a pipe.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        // A list that leads into /proc would tell of this process, and not of users.
        Ok(file) if file.metadata()?.is_file() && !is_the_kernels(&file)? => file,
        Ok(_) => return Ok(String::new()),
        Err(error) if is_no_file(&error) => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    // Most are read at once.
    let mut text = Vec::with_capacity(USUAL_LIST);
    // What can be read up to an error is as good a list as any that a sandbox may have.
    file.take(MAX_LIST).read_to_end(&mut text).ok();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether there is nothing to open: no such path, a link that leads nowhere or in circles, a socket.
fn is_no_file(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV | Errno::ACCESS
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORDS: &str = "\
root:x:0:0:root:/root:/bin/bash
broken line
daytona:x:1000:1000:,,,:/home/daytona:/bin/zsh
bare:x:1001:1001::
";
    const GROUPS: &str = "\
root:x:0:
sudo:x:27:other,daytona
daytona:x:1000:daytona
docker:x:999:daytonas
";

    fn find(wanted: &str) -> Option<User> {
        User::look_up(wanted, PASSWORDS, GROUPS).ok()
    }

    fn user(name: &str, identity: Identity, home: &str, shell: Option<&str>) -> Option<User> {
        Some(User {
            name: name.into(),
            identity: Some(identity),
            home: home.into(),
            shell: shell.map(Into::into),
        })
    }

    #[test]
    fn a_user_comes_with_its_groups_home_and_shell() {
        let identity = Identity::new(1000, 1000, &[1000, 27]);
        let wanted = user("daytona", identity, "/home/daytona", Some("/bin/zsh"));
        assert_eq!(find("daytona"), wanted);
        assert_eq!(find("1000"), wanted);
    }

    #[test]
    fn a_group_may_be_named_beside_the_user() {
        let identity = Identity::new(1000, 27, &[27, 1000]);
        assert_eq!(
            find("daytona:sudo"),
            user("daytona", identity, "/home/daytona", Some("/bin/zsh"))
        );
        assert_eq!(find("daytona:nothing"), None);
    }

    #[test]
    fn an_id_without_a_line_has_no_home() {
        assert_eq!(find("77:78"), user("77", Identity::new(77, 78, &[78]), "/", None));
        assert_eq!(find("bare"), user("bare", Identity::new(1001, 1001, &[1001]), "/", None));
    }

    #[test]
    fn a_name_without_a_line_is_nobody() {
        assert_eq!(find("nobody"), None);
    }

    #[test]
    fn without_any_list_the_owner_of_a_home_is_its_user() {
        let homes = tempfile::TempDir::new().unwrap();
        let home = homes.path().join("daytona");
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::symlink(&home, homes.path().join("link")).unwrap();
        for name in ["link", "missing", ".", "..", "", "daytona/../daytona"] {
            assert_eq!(User::owner_of(homes.path(), name), None, "{name}");
        }
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        if uid == 0 && std::os::unix::fs::chown(&home, Some(1000), Some(1001)).is_ok() {
            let identity = Identity::new(1000, 1001, &[1001]);
            let wanted = user("daytona", identity, &home.to_string_lossy(), None);
            assert_eq!(User::owner_of(homes.path(), "daytona:sudo"), wanted);
            std::os::unix::fs::chown(&home, Some(0), Some(0)).unwrap();
            assert_eq!(User::owner_of(homes.path(), "daytona"), None);
        } else {
            let identity = Identity::new(uid, gid, &[gid]);
            let wanted = user("daytona", identity, &home.to_string_lossy(), None);
            assert_eq!(User::owner_of(homes.path(), "daytona"), wanted);
        }
        assert!(has_users(PASSWORDS));
        assert!(!has_users("broken line\n"));
    }

    #[test]
    fn a_list_that_is_no_file_has_no_lines_and_is_not_waited_for() {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        std::os::unix::fs::symlink(at("pipe"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("circle"), at("circle")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["pipe", "link", "circle", "endless", "socket", "missing", ".", "pipe/x"] {
            assert_eq!(read_path(&at(name)).unwrap(), "", "{name}");
        }
        std::fs::write(at("list"), PASSWORDS).unwrap();
        assert_eq!(read_path(&at("list")).unwrap(), PASSWORDS);
        let large = std::fs::File::create(at("large")).unwrap();
        large.set_len(MAX_LIST * 2).unwrap();
        let read = u64::try_from(read_path(&at("large")).unwrap().len()).unwrap();
        assert_eq!(read, MAX_LIST);
    }
}
