//! A file of the user's in `/tmp`, for a program that can only be given a path.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::open::open;
use super::pool::Files;
use super::random;
use crate::http::Refusal;

/// A file that is removed with its value.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    files: Files,
    path: PathBuf,
}

impl TemporaryFile {
    /// Makes a file with `contents`, whose name ends with `suffix`.
    pub(crate) async fn create(
        files: &Files,
        suffix: &'static str,
        contents: Vec<u8>,
    ) -> Result<Self, Refusal> {
        let path = files.run(move || create(suffix, &contents)).await?;
        let path = path.map_err(|errno| Refusal::of_file("/tmp", errno))?;
        Ok(Self { files: files.clone(), path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

fn create(suffix: &str, contents: &[u8]) -> Result<PathBuf, Errno> {
    let path = PathBuf::from(format!("/tmp/pitlane-{}{suffix}", random::letters()?));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(open(&path, flags, Mode::from_raw_mode(0o600))?);
    let written = file.write_all(contents);
    if let Err(error) = written {
        rustix::fs::unlink(&path)?;
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(path)
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        // A program may have removed it.
        self.files.run_later(move || {
            rustix::fs::unlink(&path).ok();
        });
    }
}
