//! A command's output, kept until its end: a little in memory, the rest in a file that has no name.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

use super::json_text::JsonText;
use super::supervise::{Kind, Sink};
use crate::files::{Files, FilesError};
use crate::http::Pipe;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// In memory, in bytes.
    in_memory: usize,
    /// In all, in bytes; what comes after that is read and dropped, and the text says so.
    in_all: u64,
}

const LIMITS: Limits = Limits { in_memory: 1 << 20, in_all: 256 << 20 };
/// How much is read from the file at once.
const PIECE: u64 = 256 << 10;

/// Output while it comes.
#[derive(Debug)]
pub(super) struct Capture<'a> {
    files: &'a Files,
    limits: Limits,
    kept: Captured,
    dropped: u64,
    reason: Option<String>,
}

/// Output that is complete.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// What comes first, when it is much.
    spool: Option<Spool>,
    /// What comes last.
    tail: Vec<u8>,
    /// A sentence about what is missing.
    note: Option<String>,
}

#[derive(Debug)]
struct Spool {
    file: File,
    length: u64,
}

impl<'a> Capture<'a> {
    pub(super) fn new(files: &'a Files) -> Self {
        Self::limited(files, LIMITS)
    }

    fn limited(files: &'a Files, limits: Limits) -> Self {
        Self { files, limits, kept: Captured::default(), dropped: 0, reason: None }
    }

    /// What was kept.
    pub(super) fn finish(self) -> Captured {
        let Self { limits, mut kept, dropped, reason, .. } = self;
        if dropped > 0 {
            let why = reason.unwrap_or_else(|| format!("only {} bytes are kept", limits.in_all));
            let note = format!("\n[pitlane: {dropped} bytes of output were dropped: {why}]\n");
            kept.note = Some(note + kept.note.as_deref().unwrap_or_default());
        }
        kept
    }

    /// Adds a sentence after everything else.
    pub(super) fn add_note(&mut self, note: &str) {
        let kept = self.kept.note.take().unwrap_or_default();
        self.kept.note = Some(kept + note);
    }

    async fn spool(&mut self) -> Result<(), String> {
        let spool = match self.kept.spool.take() {
            Some(spool) => spool,
            None => Spool { file: self.files.run(open).await??, length: 0 },
        };
        let piece = std::mem::take(&mut self.kept.tail);
        let (spool, piece, result) = self.files.run(move || spool.append(piece)).await?;
        self.kept = Captured { spool: Some(spool), tail: piece, note: self.kept.note.take() };
        result
    }
}

impl Sink for Capture<'_> {
    async fn take(&mut self, _kind: Kind, bytes: &[u8]) {
        let spooled = self.kept.spool.as_ref().map_or(0, |spool| spool.length);
        let before = spooled.saturating_add(length(&self.kept.tail));
        let is_full =
            self.reason.is_some() || before.saturating_add(length(bytes)) > self.limits.in_all;
        if is_full || self.dropped > 0 {
            // Nothing is kept after a gap.
            self.dropped = self.dropped.saturating_add(length(bytes));
            return;
        }
        if self.kept.tail.len().saturating_add(bytes.len()) > self.limits.in_memory
            && let Err(reason) = self.spool().await
        {
            self.dropped = length(bytes);
            self.reason = Some(reason);
            return;
        }
        self.kept.tail.extend_from_slice(bytes);
    }
}

impl Captured {
    /// The whole text, if all of it is in memory.
    pub(super) fn text(&self) -> Option<String> {
        self.spool.is_none().then(|| {
            let mut text = String::from_utf8_lossy(&self.tail).into_owned();
            text.push_str(self.note.as_deref().unwrap_or_default());
            text
        })
    }

    /// Writes the inside of a JSON string.
    pub(super) async fn write_json(self, files: &Files, pipe: &Pipe) -> Result<(), String> {
        let mut text = JsonText::default();
        if let Some(Spool { mut file, length }) = self.spool {
            let mut left = length;
            file = files
                .run(move || file.rewind().map(|()| file))
                .await?
                .map_err(|error| failed(&error))?;
            while left > 0 {
                let piece;
                (file, piece) = files.run(move || read(file, left)).await??;
                left = left.saturating_sub(self::length(&piece));
                let mut output = Vec::new();
                text.push(&piece, &mut output);
                if !pipe.write(Bytes::from(output)).await {
                    return Ok(());
                }
            }
        }
        let mut output = Vec::new();
        text.push(&self.tail, &mut output);
        text.finish(&mut output);
        JsonText::default().push(self.note.unwrap_or_default().as_bytes(), &mut output);
        // Nobody may be reading any more.
        pipe.write(Bytes::from(output)).await;
        Ok(())
    }
}

impl Spool {
    /// Gives back what could not be written.
    fn append(mut self, piece: Vec<u8>) -> (Self, Vec<u8>, Result<(), String>) {
        match self.file.write_all(&piece) {
            Ok(()) => {
                self.length = self.length.saturating_add(length(&piece));
                (self, Vec::new(), Ok(()))
            }
            Err(error) => (self, piece, Err(failed(&error))),
        }
    }
}

fn read(file: File, left: u64) -> Result<(File, Vec<u8>), String> {
    let mut piece = Vec::new();
    (&file).take(left.min(PIECE)).read_to_end(&mut piece).map_err(|error| failed(&error))?;
    if piece.is_empty() {
        return Err(String::from("kept output is shorter than it was"));
    }
    Ok((file, piece))
}

/// A file of the user's, on the sandbox's disk, that is gone when it is closed.
fn open() -> Result<File, String> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/tmp", flags, Mode::from_raw_mode(0o600));
    file.map(|file: OwnedFd| File::from(file)).map_err(|errno| format!("cannot use /tmp: {errno}"))
}

fn failed(error: &std::io::Error) -> String {
    error.to_string()
}

impl From<FilesError> for String {
    fn from(error: FilesError) -> Self {
        error.to_string()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::{Capture, Kind, Limits, Sink as _};
    use crate::files::Files;
    use crate::http::pipe;

    /// The text of pieces that were captured with small limits.
    async fn captured(pieces: &[&str]) -> String {
        let files = Files::new(None);
        let mut capture = Capture::limited(&files, Limits { in_memory: 8, in_all: 20 });
        for piece in pieces {
            capture.take(Kind::Stdout, piece.as_bytes()).await;
        }
        let captured = capture.finish();
        if let Some(text) = captured.text() {
            return text;
        }
        let (pipe, body) = pipe();
        let write = async move { captured.write_json(&files, &pipe).await };
        let (written, body) = tokio::join!(write, body.collect());
        written.unwrap();
        let text = String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap();
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    #[tokio::test]
    async fn output_is_the_same_wherever_it_was_kept() {
        assert_eq!(captured(&["one", "two"]).await, "onetwo");
        assert_eq!(captured(&["one\n", "two\n", "\"three\""]).await, "one\ntwo\n\"three\"");
        assert_eq!(captured(&["12345678", "12345678", "1234"]).await, "12345678123456781234");
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_from_one_place_on_and_counted() {
        let note = "\n[pitlane: 13 bytes of output were dropped: only 20 bytes are kept]\n";
        // The last piece would fit again, but not without a gap before it.
        let text = captured(&["12345678", "1234567890", "1234567890", "xyz"]).await;
        assert_eq!(text, format!("123456781234567890{note}"));
    }
}
