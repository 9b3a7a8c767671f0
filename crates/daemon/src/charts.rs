//! What code draws, beside what it writes.
//!
//! Python gets a file in memory for it and writes a line for each figure; nothing of that is in its output. A program
//! that writes such lines into its output itself, as the wrappers of old clients do, has them taken out of it.

use std::os::fd::OwnedFd;

use memchr::memmem;
use pitlane_daemon::input::{Charts, Marked};
use pitlane_wire::toolbox::{Chart, CodeRunRequest};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{fcntl_dupfd_cloexec, pread};

use crate::files::Files;
use crate::process::{Kind, Launch, Sink};

/// What code that draws has to name: the library, or one that draws with it.
const LIBRARIES: [&str; 4] = ["matplotlib", "pylab", "seaborn", "pandas"];

/// The figures of one run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Where they are written; nobody writes any when the code names no library.
    file: Option<OwnedFd>,
}

/// A sink that figures in a text do not get to.
#[derive(Debug)]
pub(crate) struct Unmarked<S> {
    marked: Option<Marked>,
    sink: S,
}

impl Figures {
    /// Prepares a launch for what the code may draw; `None` for other languages.
    pub(crate) fn expected(request: &CodeRunRequest, launch: &mut Launch) -> Option<Self> {
        if !launch.is_python {
            return None;
        }
        let code = request.code.as_bytes();
        let draws = LIBRARIES.iter().any(|name| memmem::find(code, name.as_bytes()).is_some());
        // Without room for a file there are no figures.
        let file = draws.then(|| memfd_create("figures", MemfdFlags::CLOEXEC).ok()).flatten();
        launch.charts = file.as_ref().and_then(|file| fcntl_dupfd_cloexec(file, 0).ok());
        Some(Self { file })
    }

    /// What was drawn, after what was found in the output; and a sentence about what is missing.
    pub(crate) async fn read(
        self,
        files: &Files,
        mut told: Charts,
    ) -> (Vec<Chart>, Option<String>) {
        if let Some(file) = self.file {
            let read = move || {
                told.take_lines(&beginning(&file));
                told
            };
            match files.run(read).await {
                Ok(all) => told = all,
                Err(error) => {
                    return (Vec::new(), Some(format!("\n[pitlane: no figures: {error}]\n")));
                }
            }
        }
        told.finish()
    }
}

/// As much of a file as there may be of figures. Its writer may still change it, and may have made it of any size.
fn beginning(file: &OwnedFd) -> Vec<u8> {
    const PIECE: usize = 1 << 20;
    let mut text = Vec::new();
    let mut piece = vec![0; PIECE];
    // One byte more shows that there is too much.
    let most = Charts::most().saturating_add(1);
    while text.len() < most {
        let at = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let read = pread(file, &mut piece, at).unwrap_or(0);
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
        text.extend_from_slice(read);
    }
    text
}

impl<S: Sink> Unmarked<S> {
    /// Passes everything on, but for figures where there may be any.
    pub(crate) fn new(sink: S, has_figures: bool) -> Self {
        Self { marked: has_figures.then(Marked::default), sink }
    }

    /// The sink, with the rest of the text, and the figures.
    pub(crate) async fn finish(mut self) -> (S, Charts) {
        let Some(marked) = self.marked else { return (self.sink, Charts::default()) };
        let (text, charts) = marked.finish();
        self.sink.take(Kind::Stdout, &text).await;
        (self.sink, charts)
    }
}

impl<S: Sink> Sink for Unmarked<S> {
    async fn take(&mut self, kind: Kind, bytes: &[u8]) {
        match &mut self.marked {
            Some(marked) => self.sink.take(kind, &marked.push(bytes)).await,
            None => self.sink.take(kind, bytes).await,
        }
    }
}
