//! `GET /files/search`: looking for names.

use http::Request;
use hyper::body::Incoming;
use pitlane_daemon::input::Pattern;
use rustix::io::Errno;

use super::asked::Asked;
use super::gradual::{self, Finder, Frame, Gradual, Items, Turn};
use super::open::name;
use super::walk::{Limits, Walk, WalkError};
use crate::http::{Answer, Query};
use crate::toolbox::Toolbox;

/// Around the paths, as [`pitlane_wire::toolbox::FoundFiles`] has them.
const FRAME: Frame = Frame { before: "{\"files\":[", after: "]}" };

/// Finds files and folders whose names match a pattern with `*`, `?` and `[…]`, below a folder.
pub(crate) async fn search_names(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let pattern = Pattern::new(Query::of(request.uri()).required("pattern")?);
    let files = toolbox.files().clone();
    let limits = Limits { depth: usize::MAX, skips_the_kernels: false, leaves_out: true };
    let (start, permit) = match gradual::walk(&files, &asked, limits).await? {
        Ok((walk, permit)) => (Start::Folder(walk), permit),
        Err(WalkError::Kernel(Errno::NOTDIR)) => {
            let path = asked.path.clone();
            let exists = files.run(move || name(&path)).await?;
            exists.map_err(|errno| asked.refusal(errno))?;
            (Start::File(Some(asked.clone())), None)
        }
        Err(error) => return Err(gradual::refusal(&asked, error)),
    };
    let finder = Search { start, pattern };
    Gradual { files, finder, permit, asked, frame: FRAME }.answer(toolbox).await
}

struct Search {
    start: Start,
    pattern: Pattern,
}

enum Start {
    Folder(Walk),
    /// What was asked for is no folder; `None` once it was looked at.
    File(Option<Asked>),
}

impl Finder for Search {
    fn find(&mut self, items: &mut Items, turn: Turn) -> Result<bool, WalkError> {
        let walk = match &mut self.start {
            Start::Folder(walk) => walk,
            Start::File(asked) => {
                if let Some(asked) = asked.take()
                    && self.pattern.matches(&asked.name())
                {
                    items.push(&asked.path.to_string_lossy());
                }
                return Ok(true);
            }
        };
        while !turn.is_over(items) {
            let Some(found) = walk.next()? else { return Ok(true) };
            if self.pattern.matches(&found.name.to_string_lossy()) {
                items.push(&walk.path().to_string_lossy());
            }
        }
        Ok(false)
    }

    fn allow_many(&mut self) {
        if let Start::Folder(walk) = &mut self.start {
            walk.allow_many();
        }
    }
}
