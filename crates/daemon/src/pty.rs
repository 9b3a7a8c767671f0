//! Terminals: shells for people and for programs that want one.
//!
//! A terminal lasts as long as its shell, whoever is connected to it. Any number of clients share it; one that comes
//! later begins with its recent output. Whoever reads too slowly is let go of, so that no client holds up the program,
//! unless it asked for that.

mod asked;
mod client;
mod device;
mod output;
mod terminal;
mod terminals;

use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use pitlane_daemon::input::Offer;
use pitlane_wire::toolbox::{PtyCreateRequest, PtyCreateResponse, PtyKilled, PtyResizeRequest};

use self::asked::{Asked, no_size};
use self::device::Size;
use self::terminal::Ending;
use crate::http::websocket::{accept, offered};
use crate::http::{Answer, Query, Refusal, json, read_json_within, unknown};
use crate::toolbox::Toolbox;

pub(crate) use self::terminals::Terminals;

/// Larger than any request for a terminal.
const MAX_BODY: usize = 1 << 20;

/// Answers what is below `/process/pty`; `rest` is empty or begins with a slash.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    method: &Method,
    rest: &str,
    request: Request<Incoming>,
) -> Answer {
    let segments: Vec<&str> = rest.split('/').skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", []) => json(StatusCode::OK, &toolbox.terminals().list()),
        ("POST", []) => create(toolbox, request).await,
        ("GET", ["create-connect"]) => create_and_connect(toolbox, request),
        ("GET", [id, "connect"]) => connect(toolbox, &name(id), request),
        ("GET", [id]) => json(StatusCode::OK, &toolbox.terminals().find(&name(id))?.info()),
        ("DELETE", [id]) => kill(toolbox, &name(id)).await,
        ("POST", [id, "resize"]) => resize(toolbox, &name(id), request).await,
        _ => Err(unknown(method, &format!("/process/pty{rest}"))),
    }
}

async fn create(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let body: PtyCreateRequest = read_json_within(request.into_body(), MAX_BODY).await?;
    let terminal = toolbox.terminals().create(toolbox, Asked::of_body(body)?)?;
    json(StatusCode::CREATED, &PtyCreateResponse { session_id: terminal.id().to_owned() })
}

fn create_and_connect(toolbox: &Arc<Toolbox>, mut request: Request<Incoming>) -> Answer {
    let offer = offer(request.headers())?;
    let asked = Asked::of_query(&Query::of(request.uri()), &offer)?;
    let (answer, handover) = accept(&mut request, offer.spoken.as_deref())?;
    let terminal = toolbox.terminals().create(toolbox, asked)?;
    let follower = terminal.follow(offer.is_patient)?;
    toolbox.terminals().clients().spawn(client::serve(terminal, follower, offer, handover));
    Ok(answer)
}

fn connect(toolbox: &Arc<Toolbox>, id: &str, mut request: Request<Incoming>) -> Answer {
    let offer = offer(request.headers())?;
    let terminal = toolbox.terminals().find(id)?;
    let (answer, handover) = accept(&mut request, offer.spoken.as_deref())?;
    let follower = terminal.follow(offer.is_patient)?;
    terminal.start(toolbox)?;
    toolbox.terminals().clients().spawn(client::serve(terminal, follower, offer, handover));
    Ok(answer)
}

async fn resize(toolbox: &Toolbox, id: &str, request: Request<Incoming>) -> Answer {
    let PtyResizeRequest { cols, rows } = read_json_within(request.into_body(), MAX_BODY).await?;
    let size = Size::new(cols, rows).ok_or_else(no_size)?;
    let terminal = toolbox.terminals().find(id)?;
    terminal.resize(size)?;
    json(StatusCode::OK, &terminal.info())
}

async fn kill(toolbox: &Arc<Toolbox>, id: &str) -> Answer {
    let terminal = toolbox.terminals().remove(id)?;
    // To its end, whatever becomes of this request.
    let death = {
        let terminal = Arc::clone(&terminal);
        toolbox.tasks().spawn(async move { terminal.kill().await })
    };
    match death.await {
        Ok(Ending::Exited(_) | Ending::HungUp) => {
            let message = format!("PTY session {} was killed", terminal.id());
            json(StatusCode::OK, &PtyKilled { message })
        }
        Ok(Ending::Failed(reason)) => Err(Refusal::internal(reason)),
        Err(error) => Err(Refusal::internal(format!("the terminal's end was lost: {error}"))),
    }
}

fn offer(headers: &HeaderMap) -> Result<Offer, Refusal> {
    Offer::read(offered(headers)).map_err(|error| Refusal::bad_request(error.to_string()))
}

/// A name as it stands in a path.
fn name(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
