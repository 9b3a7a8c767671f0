//! Asking the user for arguments that a call needs and does not have.
//!
//! Clients of 2026-07-28 get an unfinished result and make the call again with the answers; clients of earlier revisions
//! are asked while the call waits. Clients that have said neither are told what is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use pitlane_tools::{Missing, Operation};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitationAction, ElicitationSchema, ErrorData, InputRequest, InputRequiredResult, JsonObject,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;
use crate::seal::Seal;

/// The name of the one question of a round.
const KEY: &str = "arguments";

/// How long a user may take to answer while a call waits.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// A form for what is missing.
#[derive(Debug)]
pub(crate) struct Question {
    operation: &'static Operation,
    names: Vec<&'static str>,
    form: ElicitRequestParams,
}

impl Question {
    /// A question about arguments that a form can have; `None` if there is nothing to ask, or no form for it.
    pub(crate) fn about(operation: &'static Operation, missing: &[Missing]) -> Option<Self> {
        if missing.is_empty() {
            return None;
        }
        let mut properties = Map::new();
        for missing in missing {
            properties.insert(missing.parameter.to_owned(), field(missing)?);
        }
        let names: Vec<&'static str> = missing.iter().map(|missing| missing.parameter).collect();
        let schema = json!({"type": "object", "properties": properties, "required": names});
        let schema: ElicitationSchema = serde_json::from_value(schema).ok()?;
        let form = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: format!("{} needs {}.", operation.title, names.join(" and ")),
            requested_schema: schema,
        };
        Some(Self { operation, names, form })
    }

    /// The question as an unfinished result, for clients that know those and can ask.
    pub(crate) fn as_result(
        &self,
        seal: &Seal,
        caller: &Caller,
        arguments: &Value,
        context: &RequestContext<RoleServer>,
    ) -> Option<InputRequiredResult> {
        if !is_modern(context) || !can_ask(context) {
            return None;
        }
        let bound_to = caller.binding(&digest(self.operation, arguments));
        let state = seal.seal(&self.names.join(","), &bound_to);
        let request = InputRequest::Elicitation(ElicitRequest::new(self.form.clone()));
        Some(InputRequiredResult::new(
            Some(BTreeMap::from([(KEY.to_owned(), request)])),
            Some(state),
        ))
    }

    /// Puts the question to the user of a client that can ask while a call waits. `None`: there is no answer.
    pub(crate) async fn put_to(&self, context: &RequestContext<RoleServer>) -> Option<JsonObject> {
        if is_modern(context) || !can_ask(context) {
            return None;
        }
        let asked = context.peer.create_elicitation_with_timeout(self.form.clone(), Some(PATIENCE));
        let answer = asked.await.ok()?;
        match (answer.action, answer.content) {
            (ElicitationAction::Accept, Some(Value::Object(content))) => Some(self.wanted(content)),
            _ => None,
        }
    }

    fn wanted(&self, content: JsonObject) -> JsonObject {
        content.into_iter().filter(|(name, _)| self.names.contains(&name.as_str())).collect()
    }
}

/// The arguments of a call, with what the user has answered since the last round. The inner error is for the model.
pub(crate) fn answered(
    seal: &Seal,
    caller: &Caller,
    operation: &'static Operation,
    request: &CallToolRequestParams,
) -> Result<Result<Value, CallToolResult>, ErrorData> {
    let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
    let Some(state) = &request.request_state else { return Ok(Ok(arguments)) };
    let names = seal.open(state, &caller.binding(&digest(operation, &arguments)))?;
    let answer = request.input_responses.as_ref().and_then(|answers| answers.get(KEY));
    let Some(answer) = answer.and_then(Value::as_object) else { return Ok(Ok(arguments)) };
    if answer.get("action").and_then(Value::as_str) != Some("accept") {
        let text = format!("The user did not answer. Call {} again with {names}.", operation.name);
        return Ok(Err(CallToolResult::error(vec![ContentBlock::text(text)])));
    }
    let content = answer.get("content").and_then(Value::as_object).cloned().unwrap_or_default();
    let is_wanted = |name: &String| names.split(',').any(|wanted| wanted == name);
    let content = content.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    Ok(Ok(completed(arguments, content)))
}

/// Arguments with the answers among them.
pub(crate) fn completed(arguments: Value, answers: JsonObject) -> Value {
    let mut all = match arguments {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    all.extend(answers);
    Value::Object(all)
}

/// A form's field for an argument: forms know texts, numbers, truth values and choices, and fewer keywords than schemas.
fn field(missing: &Missing) -> Option<Value> {
    let kind = missing.schema.get("type").and_then(Value::as_str)?;
    let keywords: &[&str] = match kind {
        "string" => &["enum"],
        "integer" | "number" => &["minimum", "maximum"],
        "boolean" => &[],
        _ => return None,
    };
    let mut field = Map::from_iter([("type".to_owned(), kind.into())]);
    if !missing.description.is_empty() {
        field.insert("description".to_owned(), missing.description.clone().into());
    }
    for keyword in keywords {
        if let Some(value) = missing.schema.get(*keyword) {
            field.insert((*keyword).to_owned(), value.clone());
        }
    }
    Some(Value::Object(field))
}

/// What a call was: a state that was given for one does not fit another.
fn digest(operation: &Operation, arguments: &Value) -> String {
    let sorted: BTreeMap<&String, &Value> = arguments.as_object().into_iter().flatten().collect();
    let mut hash = Sha256::new();
    hash.update(operation.name.as_bytes());
    for (name, value) in sorted {
        hash.update(format!("\0{name}\0{value}").as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the client speaks a revision without a handshake.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

/// Whether the client has said that it can show its user a form. One that has said no more than that it can ask means
/// forms: it is older than the other kind.
fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let elicitation = context.client_capabilities().and_then(|client| client.elicitation);
    elicitation.is_some_and(|can| can.form.is_some() || can.url.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(name: &str) -> &'static Operation {
        pitlane_tools::operations().iter().find(|one| one.name == name).unwrap()
    }

    fn arguments(value: &Value) -> JsonObject {
        value.as_object().cloned().unwrap()
    }

    /// The second round of a call: with the state of the first, and the user's answer.
    fn second_round(state: &str, given: &Value, answer: Value) -> CallToolRequestParams {
        CallToolRequestParams::new("execute_shell")
            .with_arguments(arguments(given))
            .with_request_state(state)
            .with_input_responses(BTreeMap::from([(KEY.to_owned(), answer)]))
    }

    #[test]
    fn what_a_call_lacks_is_a_form_of_it() {
        let shell = operation("execute_shell");
        let error = pitlane_tools::Call::parse("execute_shell", json!({})).unwrap_err();
        let question = Question::about(shell, error.missing()).unwrap();
        let form = serde_json::to_value(&question.form).unwrap();
        assert_eq!(form["requestedSchema"]["required"], json!(["sandbox_id", "command"]));
        let kind = &form["requestedSchema"]["properties"]["command"]["type"];
        assert_eq!((kind, &form["mode"]), (&json!("string"), &json!("form")));
        assert!(Question::about(shell, &[]).is_none());
    }

    #[test]
    fn an_answer_completes_the_call_that_was_asked_about_and_no_other() {
        let (seal, shell) = (Seal::new().unwrap(), operation("execute_shell"));
        let (caller, other) = (Caller::with("a"), Caller::with("b"));
        let given = json!({"sandbox_id": "x"});
        let state = seal.seal("command", &caller.binding(&digest(shell, &given)));
        let answer = json!({"action": "accept", "content": {"command": "true", "timeout": 9}});

        let request = second_round(&state, &given, answer.clone());
        let completed = answered(&seal, &caller, shell, &request).unwrap().unwrap();
        // Only what was asked for counts.
        assert_eq!(completed, json!({"sandbox_id": "x", "command": "true"}));

        assert!(answered(&seal, &other, shell, &request).is_err());
        assert!(answered(&seal, &caller, operation("execute_code"), &request).is_err());
        let changed = second_round(&state, &json!({"sandbox_id": "y"}), answer);
        assert!(answered(&seal, &caller, shell, &changed).is_err());
    }

    #[test]
    fn a_user_who_does_not_want_to_answer_ends_the_call() {
        let (seal, shell) = (Seal::new().unwrap(), operation("execute_shell"));
        let (caller, given) = (Caller::with("a"), json!({"sandbox_id": "x"}));
        let state = seal.seal("command", &caller.binding(&digest(shell, &given)));
        let request = second_round(&state, &given, json!({"action": "decline"}));
        let refusal = answered(&seal, &caller, shell, &request).unwrap().unwrap_err();
        assert_eq!(refusal.is_error, Some(true));
    }
}
