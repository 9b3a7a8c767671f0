//! The REST routes, with the answers of LangSwarm's HTTP server.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use pitlane_tools::{Call, CallError, InvalidParameter, Operation};
use serde_json::{Value, json};

use super::body::{self, BodyError, Read};
use super::{LangSwarm, NAME, TOO_MANY, busy, refusal, reply, shortened};

/// What the surface is for.
const DESCRIPTION: &str =
    "Isolated Linux sandboxes: run code and commands in them, work with their files and with git.";

/// `GET /schema`: which operations there are.
pub(super) async fn overview(State(surface): State<LangSwarm>, headers: HeaderMap) -> Response {
    if let Err(denied) = surface.admit(&headers) {
        return *denied;
    }
    let tasks: Vec<Value> = surface
        .server
        .operations()
        .map(|operation| {
            let name = operation.name;
            json!({
                "name": name,
                "description": operation.description,
                "path": format!("/{name}"),
                "schema_path": format!("/{name}/schema"),
            })
        })
        .collect();
    let body = json!({ "tool": NAME, "description": DESCRIPTION, "tasks": tasks });
    reply(StatusCode::OK, &body)
}

/// `GET /health`: this process serves. It asks no other.
pub(super) async fn health() -> Response {
    reply(StatusCode::OK, &json!({ "status": "healthy" }))
}

/// `GET /NAME/schema`: what an operation takes and answers with.
pub(super) async fn schema(
    State(surface): State<LangSwarm>,
    Path(task): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(denied) = surface.admit(&headers) {
        return *denied;
    }
    let Some(operation) = surface.server.operation(&task) else { return not_found().await };
    let body = json!({
        "name": operation.name,
        "description": operation.description,
        "input_schema": operation.input_schema,
        "output_schema": operation.output_schema,
    });
    reply(StatusCode::OK, &body)
}

/// `POST /NAME`: the arguments in, the output model out. What fails has the same form and is no error of HTTP.
pub(super) async fn call(
    State(surface): State<LangSwarm>,
    Path(task): Path<String>,
    request: Request,
) -> Response {
    let Some(operation) = surface.server.operation(&task) else { return not_found().await };
    let (tools, _place) = match surface.tools(request.headers()).await {
        Ok(found) => found,
        Err(denied) => return *denied,
    };
    let Some(_underway) = surface.server.begin_call() else { return busy(TOO_MANY) };
    let (parts, body) = request.into_parts();
    let Read { value: params, place: _long } =
        match body::read(surface.server.intake(), &parts.headers, body).await {
            Ok(read) => read,
            Err(BodyError::Json(cause)) => return unprocessable(&[not_json(&cause)]),
            Err(refused) => return refusal(refused.status(), &refused.to_string()),
        };
    let call = match arguments(&surface, operation, params) {
        Ok(call) => call,
        Err(details) => return unprocessable(&details),
    };
    let answer = surface.run(&tools, call).await;
    match answer.structured {
        model @ Value::Object(_) => reply(StatusCode::OK, &model),
        // An answer without a model is an operation's own failure.
        _ => refusal(StatusCode::INTERNAL_SERVER_ERROR, &answer.text),
    }
}

fn arguments(
    surface: &LangSwarm,
    operation: &Operation,
    params: Option<Value>,
) -> Result<Call, Vec<Value>> {
    let params = match params {
        Some(params @ Value::Object(_)) => params,
        None if operation.input_schema["required"].as_array().is_none_or(Vec::is_empty) => {
            json!({})
        }
        None => return Err(vec![detail("missing", &[], "Field required", &Value::Null)]),
        Some(other) => {
            let why = "Input should be a valid dictionary or object to extract fields from";
            return Err(vec![detail("model_attributes_type", &[], why, &excerpt(&other))]);
        }
    };
    let given = excerpt(&params);
    surface.parse(operation.name, params).map_err(|error| match error {
        CallError::InvalidParameter(invalid) => details(&invalid, &given),
        other => vec![detail("value_error", &[], &other.to_string(), &given)],
    })
}

/// FastAPI's list of what is wrong with a body.
fn details(invalid: &InvalidParameter, given: &Value) -> Vec<Value> {
    let missing = invalid.missing.iter();
    let missing: Vec<Value> = missing
        .map(|missing| detail("missing", &[missing.parameter], "Field required", given))
        .collect();
    if missing.is_empty() {
        let parameter = shortened(&invalid.parameter);
        let why = format!("Value error, {}", shortened_sentence(&invalid.why));
        return vec![detail("value_error", &[&parameter], &why, given)];
    }
    missing
}

fn detail(kind: &str, location: &[&str], message: &str, input: &Value) -> Value {
    let location: Vec<&str> = [&["body"], location].concat();
    json!({ "type": kind, "loc": location, "msg": message, "input": input })
}

fn not_json(cause: &serde_json::Error) -> Value {
    let place = json!(["body", cause.column()]);
    let context = json!({ "error": cause.to_string() });
    json!({ "type": "json_invalid", "loc": place, "msg": "JSON decode error", "input": {}, "ctx": context })
}

fn unprocessable(details: &[Value]) -> Response {
    reply(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "detail": details }))
}

/// What was sent, as it is said back: whole if it is short, else its names alone.
fn excerpt(given: &Value) -> Value {
    const LONGEST: usize = 1000;
    const NAMES: usize = 20;
    if given.to_string().len() <= LONGEST {
        return given.clone();
    }
    match given {
        Value::Object(fields) => {
            let names = fields.keys().take(NAMES);
            Value::Object(names.map(|name| (shortened(name), "…".into())).collect())
        }
        _ => "…".into(),
    }
}

fn shortened_sentence(text: &str) -> String {
    text.chars().take(500).collect()
}

/// What is said of every other address.
pub(super) async fn not_found() -> Response {
    refusal(StatusCode::NOT_FOUND, "Not Found")
}

/// What is said of every other method.
pub(super) async fn method_not_allowed() -> Response {
    refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}
