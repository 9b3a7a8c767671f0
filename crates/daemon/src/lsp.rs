//! Language servers: completions and symbols of a project, from the programs that editors use.
//!
//! A server is a program of the image, run as the sandbox's user. A document is what its file holds: before each question
//! about it the server is told what has changed there, so that nobody has to. Places are counted in UTF-16, whatever a
//! server counts in.

mod documents;
mod language;
mod pipes;
mod question;
mod search;
mod server;
mod servers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_daemon::input::language::{
    Capabilities, completions, from_code_points, paths_of, symbols, uri_of,
};
use pitlane_wire::toolbox::{LspCompletionParams, LspDocumentRequest, LspServerRequest, LspSymbol};
use tokio::time::timeout;

use self::language::Language;
use self::question::{Command, Cursor, Reply, Subject, not_running};
use self::servers::{Key, Server, project};
use crate::files::Document;
use crate::http::{Answer, Query, Refusal, empty, json, read_json, unknown};
use crate::toolbox::Toolbox;

pub(crate) use self::servers::Servers;

/// How long anything but a start may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// Answers what is below `/lsp/`.
pub(crate) async fn route(
    toolbox: &Arc<Toolbox>,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    let registration = toolbox.cancellations().register(request.headers());
    let answer = async {
        let method = request.method().clone();
        match (method.as_str(), path) {
            ("POST", "start") => start(toolbox, request).await,
            ("POST", "stop") => stop(toolbox, request).await,
            ("POST", "did-open") => did_open(toolbox, request).await,
            ("POST", "did-close") => did_close(toolbox, request).await,
            ("POST", "completions") => complete(toolbox, request).await,
            ("GET", "document-symbols") => document_symbols(toolbox, &request).await,
            ("GET", "workspacesymbols") => workspace_symbols(toolbox, &request).await,
            _ => Err(unknown(&method, &format!("/lsp/{path}"))),
        }
    };
    tokio::select! {
        answer = answer => answer,
        // The client has gone: what its question began is dropped, and the server told.
        () = registration.cancelled() => {
            Err(Refusal::new(StatusCode::GONE, "GONE", "the request was cancelled"))
        }
    }
}

async fn start(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let LspServerRequest { language_id, path_to_project } = read_json(request.into_body()).await?;
    let key = key(toolbox, &language_id, &path_to_project)?;
    let server = toolbox.language_servers().start(toolbox, &key)?;
    match server.ready().await {
        Ok(_) => empty(StatusCode::OK),
        Err(reason) => {
            let name = key.language.name();
            Err(Refusal::internal(format!("cannot start the {name} language server: {reason}")))
        }
    }
}

async fn stop(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let LspServerRequest { language_id, path_to_project } = read_json(request.into_body()).await?;
    let key = key(toolbox, &language_id, &path_to_project)?;
    let server = toolbox.language_servers().remove(&key)?;
    server.stop().await;
    empty(StatusCode::OK)
}

async fn did_open(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let (key, paths) = document(toolbox, request).await?;
    let server = toolbox.language_servers().find(&key)?;
    within(&key, async {
        is_ready(&key, &server).await?;
        server.tell(|reply| Command::Open { paths, reply }).await
    })
    .await?;
    empty(StatusCode::OK)
}

async fn did_close(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let (key, paths) = document(toolbox, request).await?;
    let server = toolbox.language_servers().find(&key)?;
    within(&key, async {
        is_ready(&key, &server).await?;
        server.tell(|reply| Command::Close { paths, reply }).await
    })
    .await?;
    empty(StatusCode::OK)
}

async fn complete(toolbox: &Toolbox, request: Request<Incoming>) -> Answer {
    let asked: LspCompletionParams = read_json(request.into_body()).await?;
    let key = key(toolbox, &asked.language_id, &asked.path_to_project)?;
    let paths = paths(toolbox, &key, &asked.uri)?;
    let cursor = Some(Cursor { position: asked.position, context: asked.context });
    let server = toolbox.language_servers().find(&key)?;
    let reply = within(&key, async {
        is_ready(&key, &server).await?;
        server.ask("textDocument/completion", Subject::File { paths, cursor }).await
    })
    .await?;
    let list = completions(&reply.result).ok_or_else(|| nonsense(&key))?;
    json(StatusCode::OK, &list)
}

async fn document_symbols(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let key = key(toolbox, query.required("languageId")?, query.required("pathToProject")?)?;
    let paths = paths(toolbox, &key, query.required("uri")?)?;
    let server = toolbox.language_servers().find(&key)?;
    let found = within(&key, async {
        let subject = Subject::File { paths, cursor: None };
        symbols_of(&key, &server, subject).await
    });
    json(StatusCode::OK, &found.await?)
}

async fn workspace_symbols(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let key = key(toolbox, query.required("languageId")?, query.required("pathToProject")?)?;
    let wanted = query.optional("query").unwrap_or_default();
    let server = toolbox.language_servers().find(&key)?;
    let found = within(&key, async {
        if !is_ready(&key, &server).await?.finds_symbols {
            return search::search(toolbox, &key, &server, wanted).await;
        }
        let example = match key.language.needs_a_document() {
            true => search::example(toolbox, &key).await?,
            false => None,
        };
        let subject = Subject::Project { query: wanted.to_owned(), example };
        let reply = server.ask("workspace/symbol", subject).await?;
        symbols(&reply.result, "").ok_or_else(|| nonsense(&key))
    });
    json(StatusCode::OK, &found.await?)
}

/// The symbols of one document.
async fn symbols_of(
    key: &Key,
    server: &Server,
    subject: Subject,
) -> Result<Vec<LspSymbol>, Refusal> {
    let capabilities = is_ready(key, server).await?;
    let Reply { result, document } = server.ask("textDocument/documentSymbol", subject).await?;
    let Document { path, text } = document.ok_or_else(|| nonsense(key))?;
    let mut found = symbols(&result, &uri_of(&path)).ok_or_else(|| nonsense(key))?;
    if key.language.counts_code_points(capabilities) && !text.is_ascii() {
        for LspSymbol { location, .. } in &mut found {
            location.range.start = from_code_points(&text, location.range.start);
            location.range.end = from_code_points(&text, location.range.end);
        }
    }
    Ok(found)
}

fn key(toolbox: &Toolbox, language: &str, path_to_project: &str) -> Result<Key, Refusal> {
    Ok(Key { language: Language::parse(language)?, project: project(toolbox, path_to_project)? })
}

async fn document(
    toolbox: &Toolbox,
    request: Request<Incoming>,
) -> Result<(Key, Vec<PathBuf>), Refusal> {
    let asked: LspDocumentRequest = read_json(request.into_body()).await?;
    let key = key(toolbox, &asked.language_id, &asked.path_to_project)?;
    let paths = paths(toolbox, &key, &asked.uri)?;
    Ok((key, paths))
}

fn paths(toolbox: &Toolbox, key: &Key, uri: &str) -> Result<Vec<PathBuf>, Refusal> {
    let paths = paths_of(uri, [&key.project, Path::new(toolbox.work_dir())]);
    if paths.is_empty() {
        return Err(Refusal::bad_request("uri must be file:// and the path of a file"));
    }
    Ok(paths)
}

async fn is_ready(key: &Key, server: &Server) -> Result<Capabilities, Refusal> {
    server.ready().await.map_err(|reason| not_running(key.language, &reason))
}

async fn within<T>(
    key: &Key,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    in_time(key.language, DEADLINE, work).await
}

async fn in_time<T>(
    language: Language,
    deadline: Duration,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    match timeout(deadline, work).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let (name, seconds) = (language.name(), deadline.as_secs());
            let message = format!("the {name} language server did not answer within {seconds} s");
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message))
        }
    }
}

fn nonsense(key: &Key) -> Refusal {
    let name = key.language.name();
    Refusal::internal(format!("the {name} language server answered something else than was asked"))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_refused_and_the_rest_is_not() {
        let soon = in_time(Language::Python, Duration::from_secs(60), ready(Ok(7)));
        assert_eq!(soon.await, Ok(7));
        let never = in_time(Language::Python, Duration::ZERO, pending::<Result<(), Refusal>>());
        let message = "the python language server did not answer within 0 s";
        let wanted = Refusal::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message);
        assert_eq!(never.await, Err(wanted));
    }
}
