//! Interpreters: contexts of Python whose state lasts from one run to the next.
//!
//! A context is a process of the sandbox's user, in a session and a control group of its own. Its standard output and
//! error are pipes, so whatever writes there is heard: prints, libraries, other programs. The daemon tells it what to run
//! over a socket of which user code need not know. What is printed while no run goes on is dropped.

mod context;
mod contexts;
mod conversation;
mod output;
mod worker;

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::{ContextDeleted, ListContextsResponse};

use crate::http::{Answer, INTAKE, json, read_json, unknown, websocket};
use crate::toolbox::Toolbox;

pub(crate) use self::contexts::Contexts;

/// What is to be run comes in one message.
const LONGEST_MESSAGE: usize = 64 << 20;

/// What browsers put the version of their SDK into.
const VERSION_PROTOCOL: &str = "X-Daytona-SDK-Version~";

/// Answers what is below `/process/interpreter/`.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    method: &Method,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    match (method.as_str(), path) {
        ("POST", "context") => {
            let request = read_json(request.into_body()).await?;
            json(StatusCode::OK, &toolbox.contexts().create(toolbox, request).await?)
        }
        ("GET", "context") => {
            json(StatusCode::OK, &ListContextsResponse { contexts: toolbox.contexts().list() })
        }
        ("GET", "execute") => execute(toolbox, request),
        _ => match (method, path.strip_prefix("context/")) {
            (&Method::DELETE, Some(id)) => {
                toolbox.contexts().delete(id).await?;
                let message = String::from("Context deleted successfully");
                json(StatusCode::OK, &ContextDeleted { message })
            }
            _ => Err(unknown(method, &format!("/process/interpreter/{path}"))),
        },
    }
}

fn execute(toolbox: &Arc<Toolbox>, mut request: Request<Incoming>) -> Answer {
    let offered = websocket::offered(request.headers());
    let protocol = offered.into_iter().find(|name| name.starts_with(VERSION_PROTOCOL));
    let protocol = protocol.map(str::to_owned);
    let (answer, handover) = websocket::accept(&mut request, protocol.as_deref())?;
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        if let Some(socket) = handover.socket(LONGEST_MESSAGE, &INTAKE).await {
            conversation::converse(&shared, socket).await;
        }
    });
    Ok(answer)
}
