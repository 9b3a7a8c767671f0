//! Files of sandboxes and what commands said, by address.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pitlane_tools::{Call, ListSandboxes, ReadError};
use rmcp::model::{
    CacheScope, CompleteRequestParams, CompleteResult, CompletionInfo, ErrorData, MetaObject,
    ReadResourceResult, ResourceContents, ResourceTemplate,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::metrics;
use crate::server::Server;

/// What can be read.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("sandbox://{id}/files/{+path}", "file")
            .with_title("File of a sandbox")
            .with_description(
                "A file of a sandbox, in pieces: ?offset=N reads on from byte N. Paths are relative to the home folder \
                 unless they begin with a slash.",
            ),
        ResourceTemplate::new("sandbox://{id}/logs/{execution}", "log")
            .with_title("Output of a command")
            .with_description("Everything that a command said, in pieces, while it is kept.")
            .with_mime_type("text/plain"),
    ]
}

/// Reads a piece of a resource.
pub(crate) async fn read(
    server: &Server,
    uri: &str,
    context: &RequestContext<RoleServer>,
) -> Result<ReadResourceResult, ErrorData> {
    let access = match server.access(context) {
        Ok(access) => access,
        // With the conformance suite's fixtures there may be no backend at all.
        Err(_) if server.settings().conformance => {
            return Err(not_found("Resource not found", uri));
        }
        Err(error) => return Err(error),
    };
    let read = tokio::select! {
        read = access.tools.read(uri) => read,
        () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
    };
    metrics::resource_read(read.is_ok());
    let piece = read.map_err(|error| match &error {
        ReadError::Address { .. } | ReadError::NotFound { .. } | ReadError::Forbidden { .. } => {
            not_found(&error.to_string(), uri)
        }
        ReadError::Backend { .. } => ErrorData::internal_error(error.to_string(), None),
    })?;
    let contents = match piece.text() {
        Some(text) => ResourceContents::text(text, uri),
        None => ResourceContents::blob(STANDARD.encode(&piece.bytes), uri),
    };
    let mut contents = contents.with_mime_type(piece.media_type);
    if let Some(next) = &piece.next {
        let mut meta = MetaObject::new();
        meta.insert("pitlane/next".to_owned(), Value::from(next.as_str()));
        meta.insert("pitlane/total".to_owned(), json!(piece.total));
        contents = contents.with_meta(meta);
    }
    // Files change at any time, and belong to their caller.
    Ok(ReadResourceResult::new(vec![contents]).with_ttl_ms(0).with_cache_scope(CacheScope::Private))
}

/// Completes ids of sandboxes, wherever one is asked for.
pub(crate) async fn complete(
    server: &Server,
    request: &CompleteRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CompleteResult, ErrorData> {
    let is_id = matches!(request.argument.name.as_str(), "id" | "sandbox_id");
    let Ok(access) = server.access(context) else { return Ok(CompleteResult::default()) };
    if !is_id {
        return Ok(CompleteResult::default());
    }
    let answer = access.tools.call(Call::ListSandboxes(ListSandboxes::default()), &()).await;
    let sandboxes = answer.structured.get("sandboxes").and_then(Value::as_array);
    let ids = sandboxes.into_iter().flatten().flat_map(|sandbox| {
        [sandbox.get("name"), sandbox.get("sandbox_id")]
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    });
    let wanted = request.argument.value.as_str();
    let mut found: Vec<String> =
        ids.filter(|id| id.starts_with(wanted)).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found.truncate(CompletionInfo::MAX_VALUES);
    let info = CompletionInfo::with_all_values(found)
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(info))
}

fn not_found(why: &str, uri: &str) -> ErrorData {
    ErrorData::resource_not_found(why.to_owned(), Some(json!({"uri": uri})))
}
