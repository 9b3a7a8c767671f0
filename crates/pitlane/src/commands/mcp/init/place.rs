//! A file of somebody else's: found without being led astray, and replaced as a whole.
//!
//! A link is followed if it stays in the folder that it should be in, and the caller is told; where it leads out, for
//! example because a project's repository has it, nothing is written unless the user asked for that. The new file has the
//! old one's permissions and owner, and takes its place at once or not at all. What somebody wrote meanwhile is not
//! overwritten.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};

use super::super::entry::EditError;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Where a file should be.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder whose owner means it: a home, or a project.
    pub(super) base: PathBuf,
    /// The file, somewhere in it.
    pub(super) file: PathBuf,
}

/// What may be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// Follow links that lead out of the base.
    pub(super) follow_links: bool,
    /// Make new files and folders for nobody else to read.
    pub(super) is_private: bool,
}

/// A file as it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it really is, or will be.
    pub(super) target: PathBuf,
    /// Whether a link was followed.
    pub(super) was_linked: bool,
    /// What is in it; `None` if it is not there.
    pub(super) text: Option<String>,
    metadata: Option<Metadata>,
    /// Who owns the base: a root that does this for a user leaves no files of its own.
    owner: (u32, u32),
}

impl Found {
    /// Whether other users may read the file, now that it is written.
    pub(super) fn is_open_to_others(&self) -> bool {
        std::fs::metadata(&self.target)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
}

/// Finds a file and reads it.
///
/// # Errors
///
/// A link leads to nothing, or out of the base; or what is there is no text in a file.
pub(super) fn find(place: &Place, access: Access) -> Result<Found, Failure> {
    let shown = place.file.display().to_string();
    let base = resolve(&place.base).doing(format!("cannot find {}", place.base.display()))?;
    let target = resolve(&place.file).map_err(|cause| {
        let is_dangling = cause.kind() == ErrorKind::NotFound;
        let failure =
            Failure::from(anyhow::Error::new(cause)).doing(format!("cannot find {shown}"));
        if is_dangling {
            failure.hint("a link leads to nothing: remove it, or make what it leads to")
        } else {
            failure
        }
    })?;
    let inside = place.file.strip_prefix(&place.base).unwrap_or(&place.file);
    let was_linked = target != base.join(inside);
    if !target.starts_with(&base) && !access.follow_links {
        let (target, base) = (target.display(), base.display());
        return Err(Failure::new(format!("{shown} is a link out of {base}, to {target}"))
            .hint("--follow-links changes the file it leads to"));
    }
    let owner =
        std::fs::metadata(nearest(&base)).map(|metadata| (metadata.uid(), metadata.gid()))?;
    let read = read(&target).map_err(|failure| failure.doing(format!("cannot read {shown}")))?;
    let (text, metadata) = match read {
        Some((text, metadata)) => (Some(text), Some(metadata)),
        None => (None, None),
    };
    Ok(Found { target, was_linked, text, metadata, owner })
}

/// Puts a text in the file's place.
///
/// # Errors
///
/// The file is as it was.
pub(super) fn replace(found: &Found, text: &str, access: Access) -> Result<(), Failure> {
    let folder = found.target.parent().unwrap_or(Path::new("/"));
    make_folders(folder, found.owner, access)?;
    let name = found.target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.new", std::process::id()));
    let mode = match &found.metadata {
        Some(metadata) => metadata.permissions().mode() & 0o7777,
        None if access.is_private => 0o600,
        None => 0o644,
    };
    let owner =
        found.metadata.as_ref().map_or(found.owner, |metadata| (metadata.uid(), metadata.gid()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o600)
        .open(&temporary)
        .and_then(|mut file| {
            own(&file, owner)?;
            // After the owner, whose change takes bits away; and whatever the process' mask is.
            if found.metadata.is_some() || access.is_private {
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
            } else {
                let mask = rustix::process::umask(Mode::empty());
                rustix::process::umask(mask);
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode) - mask)?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(Failure::from);
    let placed = written.and_then(|()| {
        if !is_as_it_was(found)? {
            return Err(Failure::new("somebody else changed it meanwhile").hint("do it again"));
        }
        std::fs::rename(&temporary, &found.target)?;
        Ok(File::open(folder)?.sync_all()?)
    });
    if placed.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    placed
}

/// The real path of what may not be there yet: links are followed as far as there is something.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut known = path;
    loop {
        match std::fs::symlink_metadata(known) {
            Ok(_) => break,
            Err(absent) if absent.kind() == ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (known.parent(), known.file_name()) else {
                    return Err(absent);
                };
                missing.push(name);
                known = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            }
            Err(cause) => return Err(cause),
        }
    }
    let mut resolved = std::fs::canonicalize(known)?;
    resolved.extend(missing.into_iter().rev());
    Ok(resolved)
}

/// The folder itself, or the first above it that is there.
fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder)
}

fn read(target: &Path) -> Result<Option<(String, Metadata)>, Failure> {
    // What is no file is not waited for, and the path was resolved: a link in its place now is new.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(target) {
        Ok(file) => file,
        Err(absent) if absent.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Failure::new("it is no regular file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Failure::new(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((text, metadata))),
        Err(cause) => {
            let valid = cause.utf8_error().valid_up_to();
            let bytes = cause.into_bytes();
            let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
            let refused = EditError::at(&before, before.len(), "it is not UTF-8");
            Err(Failure::from(anyhow::Error::new(refused)).exit(Exit::Failed))
        }
    }
}

fn is_as_it_was(found: &Found) -> Result<bool, Failure> {
    Ok(match (read(&found.target)?, &found.text) {
        (Some((now, _)), Some(then)) => now == *then,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    })
}

/// Makes the folders that are missing.
fn make_folders(folder: &Path, owner: (u32, u32), access: Access) -> Result<(), Failure> {
    let mode = if access.is_private { 0o700 } else { 0o755 };
    let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => own(&File::open(folder)?, owner)?,
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Gives a new file to whom the old one belonged, or the folder that it is in.
fn own(file: &File, (user, group): (u32, u32)) -> std::io::Result<()> {
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) == (user, group) {
        return Ok(());
    }
    // A user cannot give files away, but may put them into a group of theirs.
    let given_user = (metadata.uid() != user).then(|| Uid::from_raw(user));
    Ok(rustix::fs::fchown(file, given_user, Some(Gid::from_raw(group)))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const USERS: Access = Access { follow_links: false, is_private: true };

    fn place(base: &Path, file: &str) -> Place {
        Place { base: base.to_owned(), file: base.join(file) }
    }

    fn mode(file: &Path) -> u32 {
        std::fs::metadata(file).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_nobody_elses_to_read_and_so_are_its_folders() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path(), "a/b/c.json");
        replace(&find(&place, USERS).unwrap(), "{}", USERS).unwrap();
        assert_eq!(std::fs::read_to_string(&place.file).unwrap(), "{}");
        let modes = ["a", "a/b", "a/b/c.json"].map(|name| mode(&home.path().join(name)));
        assert_eq!(modes, [0o700, 0o700, 0o600]);
    }

    #[test]
    fn a_file_keeps_its_permissions_and_nothing_is_left_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path(), "c.json");
        for kept in [0o600, 0o644, 0o640, 0o664] {
            std::fs::write(&place.file, "old").unwrap();
            std::fs::set_permissions(&place.file, std::fs::Permissions::from_mode(kept)).unwrap();
            replace(&find(&place, USERS).unwrap(), "new", USERS).unwrap();
            assert_eq!(
                (std::fs::read_to_string(&place.file).unwrap().as_str(), mode(&place.file)),
                ("new", kept)
            );
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_inside_is_followed_and_kept_and_told_of() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("dotfiles")).unwrap();
        std::fs::write(home.path().join("dotfiles/c.json"), "old").unwrap();
        let place = place(home.path(), "c.json");
        symlink("dotfiles/c.json", &place.file).unwrap();
        let found = find(&place, USERS).unwrap();
        assert!(found.was_linked);
        replace(&found, "new", USERS).unwrap();
        assert!(std::fs::symlink_metadata(&place.file).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(home.path().join("dotfiles/c.json")).unwrap(), "new");
    }

    #[test]
    fn a_link_out_of_a_project_is_refused_unless_the_user_asked_for_it() {
        let (project, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = home.path().canonicalize().unwrap().join("settings.json");
        std::fs::write(&secret, "{}").unwrap();
        for (link, target) in [(".mcp.json", secret.as_path()), (".cursor", home.path())] {
            symlink(target, project.path().join(link)).unwrap();
        }
        for file in [".mcp.json", ".cursor/settings.json", ".cursor/new/mcp.json"] {
            let place = place(project.path(), file);
            let refused = find(&place, USERS).unwrap_err().to_string();
            assert!(
                refused.contains("is a link out of") && refused.contains("--follow-links"),
                "{refused}"
            );
            let followed = find(&place, Access { follow_links: true, ..USERS }).unwrap();
            assert!(
                followed.was_linked
                    && followed.target.starts_with(home.path().canonicalize().unwrap())
            );
        }
    }

    #[test]
    fn what_is_no_text_in_a_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let refused = |name: &str| find(&place(home.path(), name), USERS).unwrap_err().to_string();
        symlink("nowhere", home.path().join("dangling")).unwrap();
        assert!(refused("dangling").contains("a link leads to nothing"));
        std::fs::create_dir(home.path().join("folder")).unwrap();
        assert!(refused("folder").contains("it is no regular file"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            home.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert!(refused("pipe").contains("it is no regular file"));
        std::fs::write(home.path().join("latin"), b"{\n \"\xe4\"}").unwrap();
        let latin = refused("latin");
        assert!(latin.contains("line 2, column 3: it is not UTF-8"), "{latin}");
    }

    #[test]
    fn what_somebody_wrote_meanwhile_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path(), "c.json");
        std::fs::write(&place.file, "old").unwrap();
        let found = find(&place, USERS).unwrap();
        std::fs::write(&place.file, "theirs").unwrap();
        let refused = replace(&found, "ours", USERS).unwrap_err().to_string();
        assert!(refused.contains("somebody else changed it meanwhile"), "{refused}");
        assert_eq!(std::fs::read_to_string(&place.file).unwrap(), "theirs");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
