//! The suite's tools that need more than one round: an unfinished result, the client's answers, the rest.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, InputRequest, InputRequiredResult,
    InputResponses,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::Value;

use super::{Fixtures, text};
use crate::seal::Seal;

pub(super) fn call(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    seal: &Seal,
) -> Result<CallToolResponse, ErrorData> {
    let answers = request.input_responses.as_ref();
    let state = request.request_state.as_deref();
    let name = request.name.as_ref();
    // Whatever comes back must have been sent by us, for this tool.
    let opened = state.map(|state| seal.open(state, name)).transpose()?;
    let ask = |questions: &str, state: Option<&str>| {
        let sealed = state.map(|state| seal.seal(state, name));
        fixtures.ask(questions, sealed).map(CallToolResponse::from)
    };
    match name.trim_start_matches("test_input_required_result_") {
        "elicitation" => match accepted(answers, "user_name", "name").and_then(Value::as_str) {
            Some(name) => Ok(text(format!("Hello, {name}!")).into()),
            None => ask("name", None),
        },
        "sampling" => match object(answers, "capital_question") {
            Some(answer) => Ok(text(answer["content"].to_string()).into()),
            None => ask("capital", None),
        },
        "list_roots" => match object(answers, "client_roots") {
            Some(answer) => Ok(text(format!("roots: {}", answer["roots"])).into()),
            None => ask("roots", None),
        },
        "request_state" | "tampered_state" => {
            match (accepted(answers, "confirm", "ok"), opened.as_deref()) {
                (Some(_), Some("confirm")) => Ok(text("state-ok").into()),
                _ => ask("confirm", Some("confirm")),
            }
        }
        "multiple_inputs" => {
            let all = ["user_name", "greeting", "client_roots"];
            if opened.is_some() && all.iter().all(|key| object(answers, key).is_some()) {
                Ok(text("all three were answered").into())
            } else {
                ask("three", Some("three"))
            }
        }
        "multi_round" => match opened.as_deref() {
            Some("step1") if object(answers, "step1").is_some() => ask("step2", Some("step2")),
            Some("step2") if object(answers, "step2").is_some() => {
                Ok(text("both steps done").into())
            }
            _ => ask("step1", Some("step1")),
        },
        "capabilities" => what_it_can_answer(fixtures, context).map(Into::into),
        _ => Err(ErrorData::invalid_params(format!("unknown tool: {name}"), None)),
    }
}

/// Those of three questions that the client has said it can answer.
fn what_it_can_answer(
    fixtures: &Fixtures,
    context: &RequestContext<RoleServer>,
) -> Result<InputRequiredResult, ErrorData> {
    let client = context.client_capabilities().unwrap_or_default();
    let mut asked = fixtures.ask("three", None)?;
    if let Some(questions) = &mut asked.input_requests {
        questions.retain(|_, question| match question {
            InputRequest::CreateMessage(_) => client.sampling.is_some(),
            InputRequest::Elicitation(_) => client.elicitation.is_some(),
            InputRequest::ListRoots(_) => client.roots.is_some(),
            _ => false,
        });
    }
    Ok(asked)
}

/// An answer that is an object, as all are.
pub(super) fn object<'a>(answers: Option<&'a InputResponses>, key: &str) -> Option<&'a Value> {
    answers?.get(key).filter(|answer| answer.is_object())
}

/// One field of a form that the user has sent.
pub(super) fn accepted<'a>(
    answers: Option<&'a InputResponses>,
    key: &str,
    field: &str,
) -> Option<&'a Value> {
    let answer = object(answers, key)?;
    if answer["action"] != "accept" {
        return None;
    }
    answer["content"].get(field)
}
