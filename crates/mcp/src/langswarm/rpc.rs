//! JSON-RPC as LangSwarm writes it, and its two shorter forms.
//!
//!     {"method": "initialize" | "tools/list" | "tools/call" | "ping", "id"?, "params"?}   → {"jsonrpc", "id", "result" | "error"}
//!     {"name": NAME, "arguments" | "args"?}                                              → the output model
//!     {"method": NAME, "params"?}                                                        → the output model, or {"error"}

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_tools::{Answer, CallError, Operation, ResourceLink, Tools};
use serde_json::{Map, Value, json};

use super::body::{self, Read};
use super::{LangSwarm, NAME, TOO_MANY, busy, reply, shortened};

/// The revision that is told to those who ask for none that is known.
const REVISION: &str = "2025-11-25";
/// Those whose answers look like these.
const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", REVISION];

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// The longest text that is taken for an id.
const MAX_ID_BYTES: usize = 256;

/// A failure of the protocol itself.
struct RpcError {
    code: i64,
    message: String,
    data: Option<Value>,
}

/// Answers a request.
pub(super) async fn answer(surface: &LangSwarm, request: Request) -> Response {
    let (tools, _place) = match surface.tools(request.headers()).await {
        Ok(found) => found,
        Err(denied) => return *denied,
    };
    let Some(_underway) = surface.server.begin_call() else { return busy(TOO_MANY) };
    let (parts, body) = request.into_parts();
    let read = body::read(surface.server.intake(), &parts.headers, body).await;
    let (message, _long) = match read {
        Ok(Read { value: Some(Value::Object(message)), place }) => (message, place),
        Ok(Read { value: Some(_), .. }) => return invalid("a request is a JSON object"),
        Ok(Read { value: None, .. }) => return invalid("No input data provided"),
        Err(refused) => {
            let failure = RpcError::new(PARSE_ERROR, refused.sentence());
            return reply(refused.status(), &failure.into_reply(&Value::Null));
        }
    };
    let method = message.get("method").and_then(Value::as_str);
    let is_protocol = message.contains_key("jsonrpc")
        || method.is_some_and(|method| PROTOCOL.contains(&method) || method.contains('/'));
    match method {
        Some(method) if method.starts_with("notifications/") => {
            StatusCode::ACCEPTED.into_response()
        }
        Some(method) if is_protocol => match id(&message) {
            Some(id) => protocol(surface, &tools, method, message.get("params"), &id).await,
            None => invalid("an id is a number or a text of at most 256 bytes"),
        },
        Some(_) => envelope(surface, &tools, message).await,
        None if message.contains_key("name") => bare(surface, &tools, message).await,
        None => {
            let failure = CallError::NoMethod.to_json(NAME);
            reply(StatusCode::OK, &failure)
        }
    }
}

/// Methods of the protocol that have no slash.
const PROTOCOL: [&str; 2] = ["initialize", "ping"];

async fn protocol(
    surface: &LangSwarm,
    tools: &Tools,
    method: &str,
    params: Option<&Value>,
    id: &Value,
) -> Response {
    let result = match method {
        "initialize" => Ok(surface.initialize(params)),
        "ping" => Ok(json!({})),
        "tools/list" => {
            Ok(json!({ "tools": surface.server.operations().map(tool).collect::<Vec<_>>() }))
        }
        "tools/call" => surface.call_tool(tools, params).await,
        other => {
            Err(RpcError::new(METHOD_NOT_FOUND, format!("Unknown method: {}", shortened(other))))
        }
    };
    let answer = match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(failure) => failure.into_reply(id),
    };
    reply(StatusCode::OK, &answer)
}

/// `{"method": NAME, "params": …}`: what LangSwarm gives a tool of its own process.
async fn envelope(surface: &LangSwarm, tools: &Tools, mut message: Map<String, Value>) -> Response {
    let method = message.remove("method");
    let method = shortened(method.as_ref().and_then(Value::as_str).unwrap_or_default());
    let params = message.remove("params").unwrap_or_default();
    let answer = match surface.parse(&method, params) {
        Ok(call) => surface.run(tools, call).await.structured,
        Err(failure) => failure.to_json(NAME),
    };
    reply(StatusCode::OK, &answer)
}

/// `{"name": …, "arguments": …}`, as `mcp_call` sends it.
async fn bare(surface: &LangSwarm, tools: &Tools, mut message: Map<String, Value>) -> Response {
    let answer = match surface.parse_named(&mut message) {
        Ok(call) => surface.run(tools, call).await.structured,
        Err(failure) => surface.refusal(&failure),
    };
    reply(StatusCode::OK, &answer)
}

impl LangSwarm {
    fn initialize(&self, params: Option<&Value>) -> Value {
        let asked = params.and_then(|params| params["protocolVersion"].as_str());
        let revision = asked.filter(|asked| REVISIONS.contains(asked)).unwrap_or(REVISION);
        json!({
            "protocolVersion": revision,
            "capabilities": { "tools": { "listChanged": false } },
            "serverInfo": { "name": NAME, "version": self.server.settings().version },
        })
    }

    async fn call_tool(&self, tools: &Tools, params: Option<&Value>) -> Result<Value, RpcError> {
        let Some(Value::Object(params)) = params else {
            let why = "tools/call needs params with a name and arguments";
            return Err(RpcError::new(INVALID_PARAMS, why));
        };
        match self.parse_named(&mut params.clone()) {
            Ok(call) => Ok(result(&self.run(tools, call).await)),
            Err(CallError::UnknownMethod { method, known }) => {
                let data = self.refusal(&CallError::UnknownMethod { method, known });
                let message = data["error"].as_str().unwrap_or_default().to_owned();
                Err(RpcError { code: INVALID_PARAMS, message, data: Some(data) })
            }
            // A model can mend its arguments: that is an answer, not a failure of the protocol.
            Err(wrong) => {
                let text = format!("{wrong}. {}", wrong.guidance());
                Ok(json!({
                    "content": [{ "type": "text", "text": text }],
                    "structuredContent": self.refusal(&wrong),
                    "isError": true,
                }))
            }
        }
    }

    fn parse_named(
        &self,
        named: &mut Map<String, Value>,
    ) -> Result<pitlane_tools::Call, CallError> {
        let name = match named.get("name") {
            Some(Value::String(name)) if !name.is_empty() => shortened(name),
            Some(_) | None => return Err(CallError::NoMethod),
        };
        let arguments = named.remove("arguments").or_else(|| named.remove("args"));
        self.parse(&name, arguments.unwrap_or_default())
    }

    /// What LangSwarm's servers say of a call that is none.
    fn refusal(&self, failure: &CallError) -> Value {
        match failure {
            CallError::UnknownMethod { method, known } => json!({
                "success": false,
                "error": format!("Method '{method}' is not available"),
                "available_methods": known,
                "tool_name": NAME,
            }),
            other => other.to_json(NAME),
        }
    }
}

/// An operation as `tools/list` tells it.
fn tool(operation: &Operation) -> Value {
    let hints = &operation.annotations;
    let mut tool = json!({
        "name": operation.name,
        "title": operation.title,
        "description": operation.description,
        "inputSchema": operation.input_schema,
        "annotations": {
            "readOnlyHint": hints.read_only,
            "destructiveHint": hints.destructive,
            "idempotentHint": hints.idempotent,
            "openWorldHint": hints.open_world,
        },
    });
    if let Some(schema) = &operation.output_schema {
        tool["outputSchema"] = schema.clone();
    }
    tool
}

fn result(answer: &Answer) -> Value {
    let text = json!({ "type": "text", "text": answer.text });
    let content: Vec<Value> = std::iter::once(text).chain(answer.links.iter().map(link)).collect();
    json!({ "content": content, "structuredContent": answer.structured, "isError": answer.failed })
}

fn link(link: &ResourceLink) -> Value {
    let mut told = json!({
        "type": "resource_link",
        "uri": link.uri,
        "name": link.name,
        "description": link.description,
    });
    if let Some(kind) = link.media_type {
        told["mimeType"] = kind.into();
    }
    told
}

/// What the answer is told by; `None` if it is nothing that an answer should repeat.
fn id(message: &Map<String, Value>) -> Option<Value> {
    match message.get("id") {
        None | Some(Value::Null) => Some(Value::Null),
        Some(id @ Value::Number(_)) => Some(id.clone()),
        Some(Value::String(id)) if id.len() <= MAX_ID_BYTES => Some(id.as_str().into()),
        Some(_) => None,
    }
}

fn invalid(why: &str) -> Response {
    let failure = RpcError::new(INVALID_REQUEST, why);
    reply(StatusCode::BAD_REQUEST, &failure.into_reply(&Value::Null))
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    fn into_reply(self, id: &Value) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = self.data {
            error["data"] = data;
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}
