//! A path as a caller asked for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use http::Uri;
use pitlane_daemon::input::resolve;
use rustix::io::Errno;

use crate::http::{Query, Refusal};
use crate::toolbox::Toolbox;

/// A path, and the words for it in answers.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Absolute; symbolic links and `..` are the kernel's matter.
    pub(super) path: PathBuf,
    /// As it was written; what is not UTF-8 is replaced.
    pub(super) text: String,
}

impl Asked {
    /// A path in a body.
    pub(super) fn new(toolbox: &Toolbox, text: &str) -> Result<Self, Refusal> {
        Self::of_bytes(toolbox, text.as_bytes())
    }

    /// The parameter `name` of a query.
    pub(super) fn in_query(toolbox: &Toolbox, uri: &Uri, name: &str) -> Result<Self, Refusal> {
        Self::of_bytes(toolbox, Query::of(uri).path(name)?)
    }

    /// The parameter `name` of a query, or the work folder.
    pub(super) fn or_work_dir(toolbox: &Toolbox, uri: &Uri, name: &str) -> Result<Self, Refusal> {
        Self::of_bytes(toolbox, Query::of(uri).optional_path(name)?.unwrap_or(b"."))
    }

    fn of_bytes(toolbox: &Toolbox, asked: &[u8]) -> Result<Self, Refusal> {
        let text = String::from_utf8_lossy(asked).into_owned();
        let (work_dir, home) = (Path::new(toolbox.work_dir()), Path::new(&toolbox.user().home));
        if asked == b"." {
            return Ok(Self { path: work_dir.to_owned(), text });
        }
        match resolve(asked, work_dir, home) {
            Ok(path) => Ok(Self { path, text }),
            Err(error) => {
                let shown: String = text.chars().take(200).collect();
                Err(Refusal::bad_path(format!("invalid path: {shown}: {error}")))
            }
        }
    }

    /// Refuses paths that end with `.` or `..`: what they name has another name, by which it is moved or removed.
    pub(super) fn named(self) -> Result<Self, Refusal> {
        let last = self.text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if matches!(last, "" | "." | "..") {
            return Err(self.refusal(Errno::INVAL));
        }
        Ok(self)
    }

    /// The kernel's reason not to touch it.
    pub(super) fn refusal(&self, errno: Errno) -> Refusal {
        Refusal::of_file(&self.text, errno)
    }

    /// The same for something `below` it, whose name is the caller's to know.
    pub(super) fn refusal_below(&self, below: &Path, errno: Errno) -> Refusal {
        match below.strip_prefix(&self.path) {
            Ok(rest) if !rest.as_os_str().is_empty() => {
                let text = Path::new(&self.text).join(rest);
                Refusal::of_file(&text.to_string_lossy(), errno)
            }
            _ => self.refusal(errno),
        }
    }

    /// The last part of its path, as far as there is one.
    pub(super) fn name(&self) -> String {
        let last = self.path.file_name().unwrap_or_else(|| {
            let bytes = self.path.as_os_str().as_bytes();
            if bytes.ends_with(b"..") { OsStr::new("..") } else { OsStr::new("/") }
        });
        last.to_string_lossy().into_owned()
    }
}
