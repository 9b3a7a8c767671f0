//! `GET /files/find`: looking for text.

use http::{Request, StatusCode};
use hyper::body::Incoming;
use memchr::memmem;
use pitlane_wire::toolbox::FileMatch;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::asked::Asked;
use super::gradual::{self, Finder, Gradual, Items, LIST, Turn};
use super::lines::{Lines, Step};
use super::open::{read_regular, regular};
use super::walk::{Limits, Walk, WalkError};
use crate::http::{Answer, Query, json};
use crate::toolbox::Toolbox;

/// Finds lines that contain a text, in a file or in all files below a folder. Binary files, what may not be read and
/// the kernel's own files have no lines.
pub(crate) async fn find_text(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let query = Query::of(request.uri());
    let pattern = query.required("pattern")?;
    if pattern.contains('\n') {
        return json(StatusCode::OK, &[(); 0]);
    }
    let pattern = memmem::Finder::new(pattern).into_owned();
    let files = toolbox.files().clone();
    let limits = Limits { depth: usize::MAX, skips_the_kernels: true, leaves_out: true };
    let (finder, permit) = match gradual::walk(&files, &asked, limits).await? {
        Ok((walk, permit)) => (Find { walk: Some(walk), open: None, pattern }, permit),
        Err(WalkError::Kernel(Errno::NOTDIR)) => {
            let path = asked.path.clone();
            let file = files.run(move || read_regular(&path)).await?;
            let (file, _) = file.map_err(|errno| asked.refusal(errno))?;
            let path = asked.path.to_string_lossy().into_owned();
            let open = Lines::begin(file, pattern.clone()).map(|lines| (path, lines));
            (Find { walk: None, open, pattern }, None)
        }
        Err(error) => return Err(gradual::refusal(&asked, error)),
    };
    Gradual { files, finder, permit, asked, frame: LIST }.answer(toolbox).await
}

struct Find {
    /// `None` where one file is looked through.
    walk: Option<Walk>,
    /// The file it is at, and its path.
    open: Option<(String, Lines)>,
    pattern: memmem::Finder<'static>,
}

impl Finder for Find {
    fn find(&mut self, items: &mut Items, turn: Turn) -> Result<bool, WalkError> {
        while !turn.is_over(items) {
            if let Some((path, lines)) = &mut self.open {
                match lines.next() {
                    Step::Found(line) => {
                        let file = path.clone();
                        items.push(&FileMatch { file, line: line.number, content: line.content });
                    }
                    Step::Nothing => {}
                    Step::End => self.open = None,
                }
                continue;
            }
            let Some(walk) = &mut self.walk else { return Ok(true) };
            let Some(found) = walk.next()? else { return Ok(true) };
            if found.kind() == FileType::RegularFile
                && let Ok(file) = walk.open(&found.name, OFlags::empty())
                && regular(&file).is_ok()
            {
                let path = walk.path().to_string_lossy().into_owned();
                let lines = Lines::begin(file.into(), self.pattern.clone());
                self.open = lines.map(|lines| (path, lines));
            }
        }
        Ok(false)
    }

    fn allow_many(&mut self) {
        if let Some(walk) = &mut self.walk {
            walk.allow_many();
        }
    }
}
