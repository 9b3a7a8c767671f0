//! Which request goes where.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::{Directory, InitializeRequest, Version};

use super::answer::{Answer, json, read_json};
use super::body::Body;
use super::refusal::Refusal;
use crate::toolbox::Toolbox;
use crate::{
    build, files, git, interpreter, lsp, metrics, occupation, ports, process, pty, session, tunnel,
};

/// The beginnings of routes of the toolbox API that this daemon does not have.
const NOT_IMPLEMENTED: [&str; 1] = ["/computeruse"];

/// Answers one request.
pub(crate) async fn answer(toolbox: Arc<Toolbox>, request: Request<Incoming>) -> Response<Body> {
    let method = request.method().clone();
    // One slash more at the end means the same.
    let path = request.uri().path();
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path }.to_owned();
    match route(&toolbox, &method, &path, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.answer(&path, &method),
    }
}

async fn route(
    toolbox: &Arc<Toolbox>,
    method: &Method,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    // Families with routes of their own.
    if let Some(port) = path.strip_prefix("/port/").and_then(|rest| rest.strip_suffix("/in-use"))
        && method == Method::GET
    {
        return ports::is_in_use(toolbox, port).await;
    }
    if let Some(rest) = path.strip_prefix("/process/session")
        && (rest.is_empty() || rest.starts_with('/'))
    {
        return session::route(toolbox, method, rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/process/pty")
        && (rest.is_empty() || rest.starts_with('/'))
    {
        return pty::route(toolbox, method, rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/process/interpreter/") {
        return interpreter::route(toolbox, method, rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/git/") {
        return git::route(toolbox, rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/pitlane/build/") {
        return build::route(toolbox, method, rest, request).await;
    }
    if let Some(rest) = path.strip_prefix("/lsp/") {
        return lsp::route(toolbox, rest, request).await;
    }
    match (method.as_str(), path) {
        ("POST", "/process/execute") => process::execute(toolbox, request).await,
        ("POST", "/process/execute/stream") => process::stream(toolbox, request).await,
        ("POST", "/process/code-run") => process::run_code(toolbox, request).await,
        ("GET", "/files") => files::list(toolbox, &request).await,
        ("DELETE", "/files") => files::remove(toolbox, &request).await,
        ("GET", "/files/info") => files::info(toolbox, &request).await,
        ("POST", "/files/folder") => files::make_folder(toolbox, &request).await,
        ("POST", "/files/move") => files::rename(toolbox, &request).await,
        ("POST", "/files/permissions") => files::set_permissions(toolbox, &request).await,
        ("GET", "/files/find") => files::find_text(toolbox, &request).await,
        ("GET", "/files/search") => files::search_names(toolbox, &request).await,
        ("POST", "/files/replace") => files::replace_text(toolbox, request).await,
        ("POST", "/files/bulk-upload") => files::upload_many(toolbox, request).await,
        ("POST", "/files/upload" | "/files/upload-v2") => files::upload_one(toolbox, request).await,
        ("POST", "/files/bulk-download") => files::download_many(toolbox, request).await,
        ("GET", "/files/download") => files::download_one(toolbox, &request).await,
        ("GET", "/work-dir") => directory(toolbox.work_dir()),
        ("GET", "/user-home-dir" | "/project-dir") => directory(&toolbox.user().home),
        ("POST", "/init") => initialize(request).await,
        ("GET", "/system/metrics") => metrics::metrics(toolbox).await,
        ("GET", "/port") => ports::list(toolbox).await,
        ("POST", "/env") => process::update_environment(toolbox, request).await,
        ("GET", "/version") => {
            json(StatusCode::OK, &Version { version: String::from(env!("CARGO_PKG_VERSION")) })
        }
        ("GET", "/pitlane/busy") => occupation::busy(toolbox),
        ("GET", "/process/kept") => process::list_kept(toolbox),
        ("GET", _) => match path.strip_prefix("/process/kept/") {
            Some(name) => process::read_kept(toolbox, name, &request),
            None => Err(unknown(method, path)),
        },
        ("POST", _) => match path.strip_prefix("/pitlane/").and_then(|own| own.split_once('/')) {
            Some(("cancel", id)) => process::cancel(toolbox, id),
            Some(("connect", port)) => tunnel::connect(toolbox, port, request).await,
            _ => Err(unknown(method, path)),
        },
        _ => Err(unknown(method, path)),
    }
}

/// What the reference's server tells its daemon: a credential for calls that this one does not make.
async fn initialize(request: Request<Incoming>) -> Answer {
    let InitializeRequest { .. } = read_json(request.into_body()).await?;
    json(StatusCode::OK, &serde_json::json!({ "message": "the daemon needs no credential" }))
}

fn directory(dir: &str) -> Answer {
    json(StatusCode::OK, &Directory { dir: dir.to_owned() })
}

/// There is no such operation.
pub(crate) fn unknown(method: &Method, path: &str) -> Refusal {
    let is_below = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if NOT_IMPLEMENTED.iter().any(|prefix| is_below(prefix)) {
        let message = format!("{method} {path} is not implemented by this version of the daemon");
        return Refusal::new(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message);
    }
    let message = format!("the toolbox has no {method} {path}");
    Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}
