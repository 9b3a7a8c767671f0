//! What the official conformance suite asks of a server beside the protocol: tools, resources and prompts with names of
//! its own.
//!
//! Off unless the operator says so on the command line. They touch nothing: no sandbox, no file, no other server. What
//! they answer is data (`fixtures.json`); only what takes more than one message is code.

mod asking;
mod changes;
mod jobs;
mod rounds;

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, InputRequests, JsonObject, Prompt,
    PromptMessage, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ResultType,
    Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde::Deserialize;
use serde_json::Value;

use self::changes::Changes;
use crate::seal::Seal;
use crate::tasks::Owned;

/// The suite's tools, resources and prompts.
#[derive(Debug, Deserialize)]
pub(crate) struct Fixtures {
    pub(crate) tools: Vec<Tool>,
    results: BTreeMap<String, CallToolResult>,
    pub(crate) resources: Vec<Resource>,
    contents: BTreeMap<String, ResourceContents>,
    pub(crate) templates: Vec<ResourceTemplate>,
    pub(crate) prompts: Vec<Prompt>,
    messages: BTreeMap<String, Vec<PromptMessage>>,
    questions: BTreeMap<String, InputRequests>,
    #[serde(skip)]
    pub(crate) changes: Changes,
}

impl Fixtures {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// The data is not what the types say, which a test would have found.
    pub(crate) fn read() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("conformance/fixtures.json"))
    }

    /// Whether a tool is one of the suite's.
    pub(crate) fn has_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }

    /// Calls one of the suite's tools.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
        seal: &Seal,
        tasks: Owned<'_>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(result) = self.results.get(request.name.as_ref()) {
            let mut result = result.clone();
            result.result_type = Some(ResultType::COMPLETE);
            return Ok(result.into());
        }
        if request.name.starts_with("test_input_required_result_") {
            return rounds::call(self, &request, &context, seal);
        }
        if let Some(result) = self.changes.call(&request.name) {
            return Ok(result.into());
        }
        match jobs::call(self, &request, &context, seal, tasks).await {
            Some(response) => response,
            None => asking::call(self, &request, &context).await.map(Into::into),
        }
    }

    /// One of the suite's resources; `None` for one that it does not have.
    pub(crate) fn resource(&self, uri: &str) -> Option<ReadResourceResult> {
        let contents = self.contents.get(uri).cloned().or_else(|| {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = serde_json::json!({
                "id": id, "templateTest": true, "data": format!("Data for ID: {id}"),
            });
            let text = ResourceContents::text(data.to_string(), uri);
            Some(text.with_mime_type("application/json"))
        });
        contents.map(|contents| ReadResourceResult::new(vec![contents]))
    }

    /// One of the suite's prompts; `None` for one that it does not have.
    pub(crate) fn prompt(
        &self,
        request: &GetPromptRequestParams,
    ) -> Option<Result<GetPromptResponse, ErrorData>> {
        let messages = self.messages.get(&request.name)?;
        let mut arguments = request.arguments.clone().unwrap_or_default();
        if request.name == "test_input_required_result_prompt" {
            let answer =
                rounds::accepted(request.input_responses.as_ref(), "user_context", "context");
            match answer {
                Some(context) => arguments.insert("context".to_owned(), context.clone()),
                None => return Some(self.ask("context", None).map(GetPromptResponse::from)),
            };
        }
        Some(filled(messages, &arguments).map(|messages| GetPromptResult::new(messages).into()))
    }

    /// The questions of this name, as an unfinished result.
    fn ask(
        &self,
        name: &str,
        state: Option<String>,
    ) -> Result<rmcp::model::InputRequiredResult, ErrorData> {
        let questions = self.questions.get(name).cloned().ok_or_else(|| missing(name))?;
        Ok(rmcp::model::InputRequiredResult::new(Some(questions), state))
    }
}

/// The messages with the arguments in their places.
fn filled(
    messages: &[PromptMessage],
    arguments: &JsonObject,
) -> Result<Vec<PromptMessage>, ErrorData> {
    let mut text = serde_json::to_string(messages).map_err(internal)?;
    for (name, value) in arguments {
        let value = value.as_str().unwrap_or_default();
        let quoted = Value::from(value).to_string();
        text = text.replace(&format!("{{{name}}}"), quoted.trim_matches('"'));
    }
    serde_json::from_str(&text).map_err(internal)
}

fn text(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn missing(name: &str) -> ErrorData {
    ErrorData::internal_error(format!("no fixture {name}"), None)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn internal(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// An argument of a tool, as text.
fn argument<'a>(request: &'a CallToolRequestParams, name: &str) -> &'a str {
    let arguments = request.arguments.as_ref();
    arguments.and_then(|arguments| arguments.get(name)).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_what_the_types_say_and_every_prompt_has_its_messages() {
        let fixtures = Fixtures::read().unwrap();
        for prompt in &fixtures.prompts {
            assert!(fixtures.messages.contains_key(&prompt.name), "{}", prompt.name);
        }
        for resource in &fixtures.resources {
            assert!(fixtures.resource(&resource.uri).is_some(), "{}", resource.uri);
        }
    }
}
