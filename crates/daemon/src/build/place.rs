//! `POST /pitlane/build/place`: writing files.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::build::{Entry, EntryKind, Placement, RecordError, read_record};
use tokio::sync::mpsc;

use super::archive::unpack_or_write;
use super::records::{Input, WAITING};
use super::tree::Tree;
use crate::http::{Answer, Refusal, empty, pieces};
use crate::toolbox::Toolbox;

/// Writes what comes.
pub(super) async fn place(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let (sender, receiver) = mpsc::channel(WAITING);
    let written = toolbox.files().run(move || write(&mut Input::new(receiver)));
    let mut body = pieces(request.into_body());
    let fed = async move {
        while let Some(piece) = body.next().await {
            // A body that breaks off has no end, and a writer that gave up has said why.
            let Ok(piece) = piece else { break };
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    };
    let (written, ()) = tokio::join!(written, fed);
    written??;
    empty(StatusCode::OK)
}

fn write(input: &mut Input) -> Result<(), Refusal> {
    let placement: Placement = read_record(input).map_err(broken)?.ok_or_else(nothing)?;
    if !placement.destination.starts_with('/') {
        return Err(Refusal::bad_path("a destination begins at the root"));
    }
    let mut tree = Tree::new(&placement)?;
    let is_folder = placement.is_folder || tree.is_folder();
    if placement.is_folder {
        tree.make_base()?;
    }
    while let Some(entry) = read_record::<Entry>(input).map_err(broken)? {
        let name = if is_folder { PathBuf::from(&entry.path) } else { PathBuf::new() };
        let mut contents = input.take(entry.size);
        if placement.unpacks && entry.kind == EntryKind::File {
            unpack_or_write(&mut tree, &entry, &name, &mut contents)?;
        } else {
            tree.write(&entry, &name, &mut contents)?;
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: RecordError) -> Refusal {
    Refusal::bad_request(error.to_string())
}

fn nothing() -> Refusal {
    Refusal::bad_request("nothing was said about where the files go")
}
