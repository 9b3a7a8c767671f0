//! The suite's tools that talk to the client while they run.
#![expect(
    deprecated,
    reason = "the revisions before 2026-07-28 have logging and sampling, and the suite asks for them"
)]

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ContentBlock,
    CreateMessageRequestParams, ElicitRequestParams, ErrorData, InputRequest, LoggingLevel,
    LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
    SamplingCapability, SamplingMessage,
};
use rmcp::service::{RequestContext, RoleServer, ServiceError};

use super::{Fixtures, argument, missing, text};

/// Between two messages of one call, since clients must be able to hear several.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn call(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    match request.name.as_ref() {
        "greet" => Ok(text(format!("Hello, {}!", argument(request, "name")))),
        "test_tool_with_progress" => progress(context).await,
        "test_tool_with_logging" => {
            for line in
                ["Tool execution started", "Tool processing data", "Tool execution completed"]
            {
                log(context, line).await?;
                tokio::time::sleep(PAUSE).await;
            }
            Ok(text("done"))
        }
        "test_logging_tool" => {
            // Modern clients say with each request whether they want lines.
            if context.meta.log_level().is_some() {
                log(context, "a line").await?;
            }
            Ok(text("done"))
        }
        "test_sampling" => sample(argument(request, "prompt"), context).await,
        "test_elicitation" => {
            elicit(fixtures, "response", argument(request, "message"), context).await
        }
        "test_elicitation_sep1034_defaults" => elicit(fixtures, "defaults", "", context).await,
        "test_elicitation_sep1330_enums" => elicit(fixtures, "enums", "", context).await,
        "test_missing_capability" => {
            let capabilities = context.client_capabilities().unwrap_or_default();
            if capabilities.sampling.is_some() {
                return Ok(text("the client offers sampling"));
            }
            let mut required = ClientCapabilities::default();
            required.sampling = Some(SamplingCapability::default());
            Err(ErrorData::missing_required_client_capability(required))
        }
        "test_streaming_elicitation" => Ok(text("nothing had to be asked")),
        name => Err(ErrorData::invalid_params(format!("unknown tool: {name}"), None)),
    }
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    if let Some(token) = context.meta.get_progress_token() {
        for done in [0.0, 50.0, 100.0] {
            let told = ProgressNotificationParam::new(token.clone(), done).with_total(100.0);
            context.peer.notify_progress(told).await.map_err(|error| gone(&error))?;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(text("done"))
}

async fn log(context: &RequestContext<RoleServer>, line: &str) -> Result<(), ErrorData> {
    let line = LoggingMessageNotificationParam::new(LoggingLevel::Info, line.into());
    context.peer.notify_logging_message(line).await.map_err(|error| gone(&error))
}

async fn sample(
    prompt: &str,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    if is_modern(context) {
        return Ok(refused("this client cannot be asked while a tool runs"));
    }
    let asked = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    Ok(match context.peer.create_message(asked).await {
        Ok(answer) => {
            let said = answer.message.content.first().and_then(|block| block.as_text());
            text(format!("LLM response: {}", said.map_or("", |said| said.text.as_str())))
        }
        Err(error) => refused(&error.to_string()),
    })
}

async fn elicit(
    fixtures: &Fixtures,
    question: &str,
    message: &str,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    if is_modern(context) {
        return Ok(refused("this client cannot be asked while a tool runs"));
    }
    let questions = fixtures.questions.get(question).ok_or_else(|| missing(question))?;
    let Some(InputRequest::Elicitation(asked)) = questions.values().next() else {
        return Err(missing(question));
    };
    let mut params = asked.params.clone();
    if let ElicitRequestParams::FormElicitationParams { message: shown, .. } = &mut params
        && !message.is_empty()
    {
        message.clone_into(shown);
    }
    Ok(match context.peer.create_elicitation(params).await {
        Ok(answer) => {
            let action = serde_json::to_value(&answer.action).map_err(super::internal)?;
            let content = answer.content.unwrap_or_default();
            let action = action.as_str().unwrap_or_default();
            text(format!("Elicitation completed: action={action}, content={content}"))
        }
        Err(error) => refused(&error.to_string()),
    })
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
        || context.protocol_version() == Some(ProtocolVersion::V_2026_07_28)
}

fn refused(why: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(why)])
}

fn gone(error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
