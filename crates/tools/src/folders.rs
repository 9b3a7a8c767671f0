//! Folders of this machine that were allowed by name, and nothing beside them.
//!
//! Paths are looked up by the kernel beneath the folder (`openat2`, `RESOLVE_BENEATH`): neither `..` nor a symbolic link nor
//! a rename at the wrong moment leads out. Only plain files are read. What is downloaded takes its place when it is complete.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::fs::File;

use crate::failure::Failure;

/// A file that is written and has its name when it is complete; dropped before, it is removed.
#[derive(Debug)]
pub(crate) struct Target {
    folder: OwnedFd,
    temporary: String,
    name: String,
    local: String,
    is_done: bool,
}

/// Opens a file of an allowed folder to be read, and tells its length.
pub(crate) async fn open(folders: Vec<PathBuf>, local: String) -> Result<(File, u64), Failure> {
    blocking(move || {
        let (folder, rest) = allowed(&folders, &local)?;
        let folder = open_folder(&folder)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::openat2(&folder, &rest, flags, Mode::empty(), BENEATH)
            .map_err(|error| why(&local, error))?;
        let stat = rustix::fs::fstat(&file).map_err(|error| why(&local, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Failure::new(format!("local path {local} is no plain file")));
        }
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        Ok((File::from_std(std::fs::File::from(file)), length))
    })
    .await
}

/// Begins a file in an allowed folder.
pub(crate) async fn begin(folders: Vec<PathBuf>, local: String) -> Result<(File, Target), Failure> {
    blocking(move || {
        let (folder, rest) = allowed(&folders, &local)?;
        let folder = open_folder(&folder)?;
        let name = rest.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| Failure::new(format!("local path {local} names no file")))?;
        let parent = rest.parent().filter(|parent| !parent.as_os_str().is_empty());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = parent.unwrap_or(Path::new("."));
        let folder = rustix::fs::openat2(&folder, parent, flags, Mode::empty(), BENEATH)
            .map_err(|error| why(&local, error))?;
        match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                return Err(Failure::new(format!("local path {local} is no plain file")));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(why(&local, error)),
        }
        let temporary = format!(".pitlane-{}", crate::random_name());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat2(&folder, &temporary, flags, Mode::from_raw_mode(0o644), BENEATH)
                .map_err(|error| why(&local, error))?;
        let file = File::from_std(std::fs::File::from(file));
        Ok((file, Target { folder, temporary, name, local, is_done: false }))
    })
    .await
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

impl Target {
    /// Gives the file its name.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        blocking(move || self.rename()).await
    }

    fn rename(mut self) -> Result<(), Failure> {
        rustix::fs::renameat(&self.folder, &self.temporary, &self.folder, &self.name)
            .map_err(|error| why(&self.local, error))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.is_done {
            let removed = rustix::fs::unlinkat(&self.folder, &self.temporary, AtFlags::empty());
            if let Err(error) = removed {
                tracing::warn!(file = %self.temporary, %error, "half a file is left");
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(format!("the files of this machine: {error}"))))
}

fn open_folder(folder: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty())
        .map_err(|error| why(&folder.display().to_string(), error))
}

/// The allowed folder that a path is in, and the rest of the path; a relative one is in the first of them. This decides
/// nothing but where the kernel begins: a rest with `..` or links in it is the kernel's to refuse.
fn allowed(folders: &[PathBuf], local: &str) -> Result<(PathBuf, PathBuf), Failure> {
    let path = Path::new(local);
    let found = if path.is_absolute() {
        folders.iter().find_map(|folder| {
            let rest = path.strip_prefix(folder).ok()?;
            Some((folder.clone(), rest.to_path_buf()))
        })
    } else {
        folders.first().map(|folder| (folder.clone(), path.to_path_buf()))
    };
    let leads_out = path.components().any(|part| part == Component::ParentDir);
    match found.filter(|(_, rest)| !leads_out && rest.components().next().is_some()) {
        Some(found) => Ok(found),
        None if folders.is_empty() => Err(Failure::new(format!(
            "local path {local} cannot be used: no folder of this machine is allowed"
        ))
        .next("Use operation read or write with content, or ask the user to allow a folder.")),
        None => {
            let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
            Err(Failure::new(format!("local path {local} is not in a folder that is allowed"))
                .next(format!("Allowed: {}.", names.join(", "))))
        }
    }
}

fn why(local: &str, error: Errno) -> Failure {
    match error {
        Errno::XDEV | Errno::LOOP => {
            Failure::new(format!("local path {local} leads out of the folder that is allowed"))
        }
        Errno::NOENT => Failure::new(format!("local path {local} does not exist")),
        other => Failure::new(format!("local path {local}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        allowed: PathBuf,
    }

    /// A folder that is allowed, with a secret beside it.
    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("allowed");
        std::fs::create_dir_all(allowed.join("inner")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(allowed.join("inner/note"), "note").unwrap();
        symlink("inner/note", allowed.join("link")).unwrap();
        symlink("../secret", allowed.join("out")).unwrap();
        symlink(folder.path().join("secret"), allowed.join("absolute")).unwrap();
        symlink("..", allowed.join("up")).unwrap();
        Place { folder, allowed }
    }

    async fn read(place: &Place, local: &str) -> Result<String, String> {
        let opened = open(vec![place.allowed.clone()], local.to_owned()).await;
        let (mut file, length) = opened.map_err(|failure| failure.message)?;
        let mut text = String::new();
        file.read_to_string(&mut text).await.unwrap();
        assert_eq!(length, u64::try_from(text.len()).unwrap());
        Ok(text)
    }

    #[tokio::test]
    async fn files_beneath_are_read_by_any_path() {
        let place = place();
        let absolute = place.allowed.join("inner/note").display().to_string();
        for local in ["inner/note", "link", "./inner//note", &absolute] {
            assert_eq!(read(&place, local).await.as_deref(), Ok("note"), "{local}");
        }
    }

    #[tokio::test]
    async fn nothing_leads_out() {
        let place = place();
        let secret = place.folder.path().join("secret").display().to_string();
        let beside = format!("{}/../secret", place.allowed.display());
        let others = [
            "../secret",
            "out",
            "absolute",
            "up/secret",
            "inner/../../secret",
            "",
            ".",
            "inner",
            &secret,
            &beside,
            "/etc/passwd",
        ];
        for local in others {
            let refused = read(&place, local).await.unwrap_err();
            assert!(!refused.contains("secret\n"), "{local}: {refused}");
        }
        let none = open(Vec::new(), String::from("/etc/passwd")).await.unwrap_err();
        assert!(none.message.contains("no folder of this machine is allowed"), "{none:?}");
        for local in ["../new", "up/new", "out", "absolute", "inner", &secret, "/tmp/new"] {
            let refused = begin(vec![place.allowed.clone()], (*local).to_owned()).await;
            assert!(refused.is_err(), "{local}");
        }
        assert_eq!(std::fs::read_to_string(secret).unwrap(), "secret");
    }

    #[tokio::test]
    async fn what_is_downloaded_has_its_name_when_it_is_complete() {
        let place = place();
        let names = || {
            let entries = std::fs::read_dir(place.allowed.join("inner")).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect::<Vec<_>>()
        };
        let begun = begin(vec![place.allowed.clone()], String::from("inner/note")).await;
        let (mut file, target) = begun.unwrap();
        file.write_all(b"new").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(read(&place, "inner/note").await.as_deref(), Ok("note"));
        target.finish().await.unwrap();
        assert_eq!(read(&place, "inner/note").await.as_deref(), Ok("new"));
        drop(begin(vec![place.allowed.clone()], String::from("inner/other")).await.unwrap());
        assert_eq!(names(), ["note"]);
    }
}
