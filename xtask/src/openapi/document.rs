//! From a table of operations to a document.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use pitlane_wire::control::ErrorBody;
use serde_json::{Map, Value, json};

use super::operation::{Answer, Content, Operation, Parameter};
use super::schemas::Schemas;
use super::{control, toolbox};
use crate::compat::Served;

/// Which statuses refuse what, in the words of the refusals' common list.
const REFUSALS: [(u16, &str, &str); 17] = [
    (
        400,
        "BadRequest",
        "The request, or the state of what it asks for, is wrong: the message says what to change.",
    ),
    (401, "Unauthorized", "No key, or one that is not valid."),
    (403, "Forbidden", "The key, or the sandbox's user, may not do this."),
    (404, "NotFound", "There is no such thing, or it belongs to another organization."),
    (408, "Timeout", "It took longer than the request allows; nothing of it runs any more."),
    (409, "Conflict", "The name is taken, or something else is being done to it: try again."),
    (410, "Gone", "It was there and cannot be had any more."),
    (413, "TooLarge", "The body is larger than this operation takes."),
    (416, "RangeNotSatisfiable", "The file is shorter than what was asked for."),
    (422, "Unprocessable", "The request was understood and cannot be done."),
    (426, "UpgradeRequired", "Only a WebSocket can be had here."),
    (429, "TooManyRequests", "Too many requests: `Retry-After` says when to try again."),
    (500, "Failed", "The server failed: the message names the request, the log the cause."),
    (502, "Unreachable", "The sandbox's daemon cannot be reached."),
    (503, "Unavailable", "There is no room, or the server is going down: try again later."),
    (504, "GatewayTimeout", "The sandbox's daemon did not answer in time."),
    (507, "NoSpace", "The disk is full."),
];

/// One of the two interfaces.
#[derive(Debug)]
pub(super) struct Interface<'a> {
    title: &'static str,
    about: &'static str,
    server: Value,
    /// Statuses with which any operation with a key may be refused.
    refusals: &'static [u16],
    operations: Vec<(&'a Served, Operation)>,
}

impl<'a> Interface<'a> {
    /// The control plane's.
    ///
    /// # Errors
    ///
    /// What is served and what is described differ.
    pub(super) fn control(served: &'a BTreeMap<String, Served>) -> anyhow::Result<Self> {
        Ok(Self {
            title: "Pitlane: control plane",
            about: "Sandboxes, snapshots and keys. Names and bodies are the Daytona API's.",
            server: json!({ "url": "http://127.0.0.1:3986/api" }),
            refusals: &[401, 403, 429, 500, 503],
            operations: paired(served, control::operations(), "control")?,
        })
    }

    /// The toolbox's.
    ///
    /// # Errors
    ///
    /// What is served and what is described differ.
    pub(super) fn toolbox(served: &'a BTreeMap<String, Served>) -> anyhow::Result<Self> {
        let sandbox = json!({
            "default": "00000000-0000-4000-8000-000000000000",
            "description": "The sandbox's id.",
        });
        Ok(Self {
            title: "Pitlane: toolbox",
            about: "Commands and files inside one sandbox. Names and bodies are the Daytona toolbox API's.",
            server: json!({
                "url": "http://127.0.0.1:3986/toolbox/{sandboxId}",
                "variables": { "sandboxId": sandbox },
            }),
            refusals: &[400, 401, 403, 404, 409, 429, 500, 502, 503, 504],
            operations: paired(served, toolbox::operations(), "toolbox")?,
        })
    }
}

/// Joins what is served and what is described.
fn paired<'a>(
    served: &'a BTreeMap<String, Served>,
    operations: Vec<Operation>,
    table: &str,
) -> anyhow::Result<Vec<(&'a Served, Operation)>> {
    let described: BTreeSet<&str> = operations.iter().map(|operation| operation.key).collect();
    ensure!(described.len() == operations.len(), "an operation is described twice in {table}");
    let mut faults = Vec::new();
    for key in served.keys().filter(|key| !described.contains(key.as_str())) {
        faults.push(format!("{key} is served: describe it in xtask/src/openapi/{table}"));
    }
    for key in described.iter().filter(|key| !served.contains_key(**key)) {
        faults.push(format!(
            "{key} is described in xtask/src/openapi/{table} and not served by openapi/compat.toml"
        ));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    let pairs = operations.into_iter().map(|operation| {
        let row = served.get(operation.key).context("an operation that is not served")?;
        Ok((row, operation))
    });
    pairs.collect()
}

/// The text of a document. The same operations give the same text.
pub(super) fn document(interface: &Interface<'_>) -> anyhow::Result<String> {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    let mut used = BTreeSet::new();
    for (row, operation) in &interface.operations {
        let (method, path) = operation.key.split_once(' ').context("a key without a method")?;
        let statuses = refusals(interface, row, operation);
        used.extend(statuses.iter().copied());
        let described = describe(&mut schemas, row, operation, &statuses)?;
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        let methods = methods.as_object_mut().context("a path that is no object")?;
        methods.insert(method.to_lowercase(), described);
    }
    let error = schemas.written::<ErrorBody>();
    let responses: Map<String, Value> = REFUSALS
        .iter()
        .filter(|(status, _, _)| used.contains(status))
        .map(|(_, name, about)| {
            let content = json!({ "application/json": { "schema": error } });
            ((*name).to_owned(), json!({ "description": about, "content": content }))
        })
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": interface.title,
            "description": interface.about,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [interface.server],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.named()?,
            "responses": responses,
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "An API key." },
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// The statuses with which an operation may be refused, in order.
fn refusals(interface: &Interface<'_>, row: &Served, operation: &Operation) -> BTreeSet<u16> {
    let mut statuses: BTreeSet<u16> = operation.refusals.iter().copied().collect();
    if row.is_public {
        statuses.insert(500);
    } else {
        statuses.extend(interface.refusals);
    }
    if operation.key.contains('{') || !operation.parameters.is_empty() {
        statuses.insert(400);
    }
    if operation.body.is_some() {
        // What does not arrive in time, too.
        statuses.extend([400, 408, 413]);
    }
    statuses
}

fn describe(
    schemas: &mut Schemas,
    row: &Served,
    operation: &Operation,
    refusals: &BTreeSet<u16>,
) -> anyhow::Result<Value> {
    let (_, path) = operation.key.split_once(' ').context("a key without a method")?;
    let tag = path.split('/').nth(1).unwrap_or_default();
    let mut described = json!({
        "operationId": row.id,
        "tags": [tag],
        "summary": operation.summary,
    });
    let parameters: Vec<Value> =
        in_path(path).chain(operation.parameters.iter().map(parameter)).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(why) = &row.why {
        described["description"] = format!("Partly served: {why}.").into();
    }
    if row.is_public {
        described["security"] = json!([]);
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({ "required": true, "content": content(schemas, body) });
    }
    let mut answers = Map::new();
    for Answer { status, about, content: body } in &operation.answers {
        // One status may come with one of several media types; its first words are for all of them.
        let answer = answers.entry(status.to_string()).or_insert(json!({ "description": about }));
        let content = body.as_ref().map(|body| content(schemas, body));
        if let Some(Value::Object(content)) = content {
            let all = answer.as_object_mut().context("an answer is an object")?;
            let known = all.entry("content").or_insert(json!({}));
            known.as_object_mut().context("contents are an object")?.extend(content);
        }
    }
    ensure!(!answers.is_empty(), "{} has no success", operation.key);
    for status in refusals {
        let (_, name, _) = REFUSALS
            .iter()
            .find(|(known, _, _)| known == status)
            .with_context(|| format!("{}: no words for status {status}", operation.key))?;
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        answers.entry(status.to_string()).or_insert(reference);
    }
    described["responses"] = answers.into();
    Ok(described)
}

/// The variables of a path: texts that are not empty.
fn in_path(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        let schema = match name {
            "port" => json!({ "type": "integer", "minimum": 1, "maximum": 65_535 }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    })
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.about,
        "schema": parameter.schema,
    })
}

fn content(schemas: &mut Schemas, content: &Content) -> Value {
    match content {
        Content::Json(make) => json!({ "application/json": { "schema": make(schemas) } }),
        Content::Form(schema) => json!({ "multipart/form-data": { "schema": schema } }),
        Content::Bytes(media_type) => json!({ *media_type: {} }),
    }
}
