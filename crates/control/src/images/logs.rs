//! What was written while images were built, for whoever asks: live as long as the build goes on, then from the disk.
//!
//! One file for each build, named as its image, the last one's in place of an earlier one's. The oldest go when there
//! are many.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use pitlane_model::ImageReference;
use tokio::fs;
use tokio::sync::watch;

use super::transcript::Transcript;

/// How many logs are kept. Each has about one mebibyte at most.
const MOST: usize = 256;

/// The logs that are kept.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    /// Held by whoever counts and removes.
    tidying: tokio::sync::Mutex<()>,
}

/// What a build wrote, read from its beginning on.
#[derive(Debug)]
pub struct BuildLog(Source);

#[derive(Debug)]
enum Source {
    Live { transcript: Arc<Transcript>, offset: u64, written: watch::Receiver<(u64, bool)> },
    Kept { path: PathBuf },
    Read,
}

impl Logs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, tidying: tokio::sync::Mutex::default() }
    }

    /// Where the log of the image of this name is.
    pub(super) fn path(&self, reference: &ImageReference) -> PathBuf {
        // The last word of the name of an image that was built is digits; no other name has a log.
        let name = reference.path().rsplit('/').next().filter(|_| reference.is_own());
        self.folder.join(name.unwrap_or("none")).with_extension("log")
    }

    /// Writes a log down. One that cannot be written is none.
    pub(super) async fn keep(&self, reference: &ImageReference, text: Vec<u8>) {
        let path = self.path(reference);
        if let Err(error) = self.write(&path, text).await {
            tracing::warn!(path = %path.display(), %error, "the log of a build is not kept");
        }
    }

    async fn write(&self, path: &Path, text: Vec<u8>) -> io::Result<()> {
        let _turn = self.tidying.lock().await;
        fs::create_dir_all(&self.folder).await?;
        let draft = path.with_extension("draft");
        fs::write(&draft, text).await?;
        fs::rename(&draft, path).await?;
        self.remove_oldest().await
    }

    async fn remove_oldest(&self) -> io::Result<()> {
        let mut entries = fs::read_dir(&self.folder).await?;
        let mut logs: Vec<(SystemTime, PathBuf)> = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            logs.push((entry.metadata().await?.modified()?, entry.path()));
        }
        logs.sort();
        let excess = logs.len().saturating_sub(MOST);
        for (_, path) in logs.into_iter().take(excess) {
            fs::remove_file(path).await?;
        }
        Ok(())
    }
}

impl BuildLog {
    pub(super) fn live(transcript: Arc<Transcript>) -> Self {
        let written = transcript.watch();
        Self(Source::Live { transcript, offset: 0, written })
    }

    pub(super) const fn kept(path: PathBuf) -> Self {
        Self(Source::Kept { path })
    }

    /// What comes next, when it is there; `None` at the end of the build. What is not kept is empty.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.0, Source::Read) {
            Source::Live { transcript, offset, mut written } => loop {
                // Looked at before it is read: what comes in between is noticed.
                let is_over = written.borrow_and_update().1;
                if let Some((chunk, offset)) = transcript.read(offset) {
                    self.0 = Source::Live { transcript, offset, written };
                    return Some(chunk);
                }
                if is_over || written.changed().await.is_err() {
                    return None;
                }
            },
            Source::Kept { path } => fs::read(path).await.ok().filter(|text| !text.is_empty()),
            Source::Read => None,
        }
    }

    /// What there is by now, without waiting for more.
    pub async fn present(self) -> Vec<u8> {
        match self.0 {
            Source::Live { transcript, .. } => transcript.text(),
            Source::Kept { path } => fs::read(path).await.unwrap_or_default(),
            Source::Read => Vec::new(),
        }
    }
}
