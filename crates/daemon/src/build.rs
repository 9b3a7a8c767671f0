//! What a builder asks of the daemon of a build sandbox: commands with nothing around them, and files by the tree.
//!
//! For the server alone; callers of the toolbox do not get here. Nothing else runs in such a sandbox, whose user is root.
//! Everything is written from the root of the file system on, through no other mount and no link of the kernel's: what a
//! build writes is part of its image, and the devices and processes of the sandbox are not.

mod archive;
mod clear;
mod folders;
mod pack;
mod place;
mod records;
mod run;
mod tree;

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::build::{Clearing, NewFolder};
use rustix::io::Errno;

use crate::http::{Answer, Refusal, empty, read_json, unknown};
use crate::toolbox::Toolbox;

/// Does what the builder wants; `rest` follows `/pitlane/build/`.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    method: &Method,
    rest: &str,
    request: Request<Incoming>,
) -> Answer {
    match (method.as_str(), rest) {
        ("POST", "run") => run::run(toolbox, request).await,
        ("POST", "place") => place::place(toolbox, request).await,
        ("POST", "pack") => pack::pack(toolbox, request).await,
        ("POST", "folder") => {
            let NewFolder { folder, owner } = read_json(request.into_body()).await?;
            let made = toolbox.files().run(move || folders::make(&folder, &owner));
            made.await??;
            empty(StatusCode::CREATED)
        }
        ("POST", "clear") => {
            let Clearing { folder, removes } = read_json(request.into_body()).await?;
            let cleared = toolbox.files().run(move || clear::clear(&folder, removes));
            cleared.await??;
            empty(StatusCode::OK)
        }
        _ => Err(unknown(method, rest)),
    }
}

/// The kernel's reason, told as a builder's.
fn refuse(path: &str, errno: Errno) -> Refusal {
    match errno {
        Errno::XDEV => Refusal::bad_path(format!(
            "{path} is not part of the image: devices, processes and mounted folders cannot be written"
        )),
        Errno::NOTDIR => Refusal::bad_path(format!("{path}: something on the way is no folder")),
        Errno::ISDIR => {
            Refusal::bad_path(format!("{path} is a folder, and a file cannot replace it"))
        }
        Errno::LOOP => Refusal::bad_path(format!("{path}: links lead in circles")),
        errno => Refusal::of_file(path, errno),
    }
}
