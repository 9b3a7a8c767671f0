//! Where copies go.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use super::folder::Folder;
use super::remote::Remote;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};

/// What the destination is.
#[derive(Debug)]
pub(super) enum Target<'a> {
    /// A folder here, and the name in it that the one source gets; its own name if absent.
    Here { folder: Arc<Folder>, name: Option<OsString> },
    /// A path in a sandbox: that of the copy itself, or of the folder that it goes into.
    Sandbox { remote: Remote<'a>, path: String, is_folder: bool },
}

impl<'a> Target<'a> {
    /// Looks what is at `path` here.
    pub(super) fn here(path: &Path, sources: usize) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        if path.is_dir() {
            let folder = Folder::open(path).doing(format!("cannot open {shown}"))?;
            return Ok(Self::Here { folder: Arc::new(folder), name: None });
        }
        if path.as_os_str().as_bytes().ends_with(b"/") {
            std::fs::create_dir(path).doing(format!("cannot make the folder {shown}"))?;
            return Self::here(path, sources);
        }
        if sources > 1 {
            return Err(no_folder(&shown));
        }
        if path.exists() && !path.is_file() {
            return Err(Failure::new(format!("{shown} is neither a file nor a folder"))
                .hint("- as the destination writes to standard output, which can go anywhere")
                .exit(Exit::Usage));
        }
        // The user's own link leads where it leads.
        let path = path.canonicalize().unwrap_or_else(|_absent| path.to_owned());
        let name = path.file_name().ok_or_else(|| no_folder(&shown))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let folder = Folder::open(parent)
            .doing(format!("there is no folder {} to write into", parent.display()))?;
        Ok(Self::Here { folder: Arc::new(folder), name: Some(name.to_owned()) })
    }

    /// Asks a sandbox what is at `path`.
    pub(super) async fn in_sandbox(
        remote: Remote<'a>,
        path: &str,
        sources: usize,
    ) -> Result<Self, Failure> {
        let is_folder = match remote.files.info(path).await {
            Ok(info) => info.is_dir,
            Err(absent) if absent.status() == Some(404) && path.ends_with('/') => {
                remote.files.make_folder(path.trim_end_matches('/'), 0o755).await?;
                true
            }
            Err(absent) if absent.status() == Some(404) => false,
            Err(other) => return Err(other.into()),
        };
        if sources > 1 && !is_folder {
            return Err(no_folder(&remote.shown(path)));
        }
        Ok(Self::Sandbox { remote, path: path.to_owned(), is_folder })
    }
}

fn no_folder(shown: &str) -> Failure {
    Failure::new(format!("{shown} is no folder, and several things cannot become one file"))
        .hint("a slash at its end makes the folder: DESTINATION/")
        .exit(Exit::Usage)
}
