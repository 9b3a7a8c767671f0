//! The lines of one file that contain a text, with little memory however long the file and its lines are.

use std::fs::File;
use std::io::Read as _;
use std::mem::take;

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memrchr};

/// How much is read at once.
const BLOCK: usize = 64 << 10;
/// A file with a zero byte this near to its beginning is no text.
const LOOK_AHEAD: usize = 8 << 10;
/// As much of a line is told.
const MAX_CONTENT: usize = 64 << 10;

/// A line that contains the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Without its end; what is not UTF-8 is replaced.
    pub(super) content: String,
}

/// A file that is looked through.
#[derive(Debug)]
pub(super) struct Lines {
    file: File,
    finder: Finder<'static>,
    block: Vec<u8>,
    /// What of the block was looked at.
    done: usize,
    /// The number of the line that begins or goes on there.
    number: u64,
    /// The line that goes on there, if it began in an earlier block.
    open: Option<Open>,
    is_at_end: bool,
}

/// A line whose end was not read.
#[derive(Debug, Default)]
struct Open {
    content: Vec<u8>,
    /// Its last bytes, in which the text may have begun.
    tail: Vec<u8>,
    is_found: bool,
}

impl Lines {
    /// Begins; `None` if the file is no text or cannot be read.
    pub(super) fn begin(file: File, finder: Finder<'static>) -> Option<Self> {
        let mut lines = Self {
            file,
            finder,
            block: Vec::new(),
            done: 0,
            number: 1,
            open: None,
            is_at_end: false,
        };
        lines.read()?;
        let beginning = lines.block.get(..lines.block.len().min(LOOK_AHEAD))?;
        (!beginning.contains(&0)).then_some(lines)
    }

    /// The next line that contains the text.
    pub(super) fn next(&mut self) -> Step {
        let rest = self.block.get(self.done..).unwrap_or_default();
        if rest.is_empty() {
            if self.is_at_end || self.read().is_none() {
                return self.end_line().map_or(Step::End, Step::Found);
            }
            return Step::Nothing;
        }
        if let Some(open) = &mut self.open {
            let end = memchr(b'\n', rest);
            open.add(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default(), &self.finder);
            self.done =
                self.done.saturating_add(end.map_or(rest.len(), |end| end.saturating_add(1)));
            let found = if end.is_some() { self.end_line() } else { None };
            return found.map_or(Step::Nothing, Step::Found);
        }
        let Some(last) = memrchr(b'\n', rest) else {
            self.open = Some(Open::default());
            return Step::Nothing;
        };
        let complete = rest.get(..=last).unwrap_or_default();
        let Some(at) = self.finder.find(complete) else {
            self.number = self.number.saturating_add(count(complete));
            self.done = self.done.saturating_add(complete.len());
            return Step::Nothing;
        };
        let (before, after) = complete.split_at_checked(at).unwrap_or_default();
        let start = memrchr(b'\n', before).map_or(0, |end| end.saturating_add(1));
        let end = memchr(b'\n', after).map_or(complete.len(), |end| at.saturating_add(end));
        let number = self.number.saturating_add(count(before));
        let line = complete.get(start..end).unwrap_or_default();
        let found = Line { number, content: text(line) };
        self.number = number.saturating_add(1);
        self.done = self.done.saturating_add(end).saturating_add(1);
        Step::Found(found)
    }

    fn read(&mut self) -> Option<()> {
        self.block.clear();
        self.done = 0;
        let limit = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        let count = self.file.by_ref().take(limit).read_to_end(&mut self.block).ok()?;
        self.is_at_end = count == 0;
        Some(())
    }

    fn end_line(&mut self) -> Option<Line> {
        let open = self.open.take()?;
        let number = self.number;
        self.number = self.number.saturating_add(1);
        open.is_found.then(|| Line { number, content: text(&open.content) })
    }
}

/// What looking a little further has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Found(Line),
    Nothing,
    End,
}

impl Open {
    fn add(&mut self, part: &[u8], finder: &Finder<'_>) {
        let room = MAX_CONTENT.saturating_sub(self.content.len()).min(part.len());
        self.content.extend_from_slice(part.get(..room).unwrap_or_default());
        if self.is_found {
            return;
        }
        self.tail.extend_from_slice(part);
        self.is_found = finder.find(&self.tail).is_some();
        let kept = finder.needle().len().saturating_sub(1);
        let gone = self.tail.len().saturating_sub(kept);
        let tail = take(&mut self.tail);
        self.tail.extend_from_slice(tail.get(gone..).unwrap_or_default());
    }
}

fn count(text: &[u8]) -> u64 {
    u64::try_from(memchr_iter(b'\n', text).count()).unwrap_or(u64::MAX)
}

fn text(line: &[u8]) -> String {
    let line = line.get(..line.len().min(MAX_CONTENT)).unwrap_or_default();
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use memchr::memmem::Finder;
    use proptest::prelude::*;

    use super::{Line, Lines, Step};

    fn found(contents: &[u8], needle: &str) -> Vec<(u64, String)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        file.rewind().unwrap();
        let finder = Finder::new(needle).into_owned();
        let Some(mut lines) = Lines::begin(file, finder) else { return Vec::new() };
        let mut all = Vec::new();
        loop {
            match lines.next() {
                Step::Found(Line { number, content }) => all.push((number, content)),
                Step::Nothing => {}
                Step::End => return all,
            }
        }
    }

    #[test]
    fn a_long_line_is_one_line_and_its_beginning_is_told() {
        let mut contents = b"first\n".to_vec();
        contents.extend(vec![b'x'; 300_000]);
        contents.extend(b"needle\r\nlast needle");
        let wanted = vec![(2, "x".repeat(65_536)), (3, String::from("last needle"))];
        assert_eq!(found(&contents, "needle"), wanted);
    }

    #[test]
    fn a_text_that_is_cut_by_a_block_is_found() {
        for start in 65_530..65_540 {
            let mut contents = vec![b'x'; start];
            contents.extend(b"needle\n");
            assert_eq!(found(&contents, "needle").len(), 1, "{start}");
        }
    }

    #[test]
    fn what_is_binary_has_no_lines() {
        assert_eq!(found(b"needle\0", "needle"), []);
    }

    proptest! {
        #[test]
        fn lines_are_those_that_contain_the_text(
            lines in proptest::collection::vec("[ab]{0,6}|(xy){0,20000}", 0..12), needle in "[abxy]{1,3}",
        ) {
            let contents = lines.join("\n");
            let wanted: Vec<(u64, String)> = (1..)
                .zip(contents.split('\n'))
                .filter(|(_, line)| line.contains(&needle))
                .map(|(number, line)| (number, line.to_owned()))
                .collect();
            prop_assert_eq!(found(contents.as_bytes(), &needle), wanted);
        }
    }
}
