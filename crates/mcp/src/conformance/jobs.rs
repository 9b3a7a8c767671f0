//! The suite's tools that become tasks.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    ErrorData, InputRequest,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskContext, TaskExit};
use serde_json::Value;

use super::{Fixtures, missing, rounds, text};
use crate::seal::Seal;
use crate::tasks::Owned;

/// How long a job that fails pretends to work.
const MOMENT: Duration = Duration::from_millis(200);

/// Calls one of the tools that become tasks; `None` for every other.
pub(super) async fn call(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
    seal: &Seal,
    tasks: Owned<'_>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let wants_task = context.client_capabilities().is_some_and(|client| client.supports_tasks());
    let started = |job: Job| tasks.start(move |task| Box::pin(run(job, task)));
    let job = match request.name.as_ref() {
        "slow_compute" => {
            let seconds = request.arguments.as_ref().and_then(|given| given.get("seconds"));
            Job::Sleep(Duration::from_secs_f64(
                seconds.and_then(Value::as_f64).unwrap_or(1.0).clamp(0.0, 60.0),
            ))
        }
        "failing_job" => Job::Fail,
        "protocol_error_job" => Job::Break,
        "confirm_delete" => match questions(fixtures, "delete") {
            Ok(questions) => Job::Ask(questions),
            Err(error) => return Some(Err(error)),
        },
        "multi_input" => match questions(fixtures, "two") {
            Ok(questions) => Job::Ask(questions),
            Err(error) => return Some(Err(error)),
        },
        "test_tool_with_task" => {
            let answers = request.input_responses.as_ref();
            match rounds::accepted(answers, "user_name", "name").and_then(Value::as_str) {
                Some(name) => Job::Greet(name.to_owned()),
                None => {
                    let state = seal.seal("named", &request.name);
                    return Some(fixtures.ask("name", Some(state)).map(Into::into));
                }
            }
        }
        _ => return None,
    };
    if let (Job::Sleep(time), false) = (&job, wants_task) {
        // This one can do without.
        tokio::time::sleep(*time).await;
        return Some(Ok(text("computed").into()));
    }
    if !wants_task {
        let required = ClientCapabilities::builder().enable_tasks().build();
        return Some(Err(ErrorData::missing_required_client_capability(required)));
    }
    Some(started(job).map(CallToolResponse::from))
}

fn questions(fixtures: &Fixtures, name: &str) -> Result<Vec<(String, InputRequest)>, ErrorData> {
    let questions = fixtures.questions.get(name).ok_or_else(|| missing(name))?;
    Ok(questions.iter().map(|(key, question)| (key.clone(), question.clone())).collect())
}

enum Job {
    Sleep(Duration),
    Fail,
    Break,
    Ask(Vec<(String, InputRequest)>),
    Greet(String),
}

async fn run(job: Job, task: TaskContext) -> Result<CallToolResult, TaskExit> {
    match job {
        Job::Sleep(time) => tokio::select! {
            () = tokio::time::sleep(time) => Ok(text("computed")),
            () = task.cancelled() => Err(TaskExit::Cancelled),
        },
        Job::Fail => {
            tokio::time::sleep(MOMENT).await;
            Ok(CallToolResult::error(vec![ContentBlock::text("the job failed, as it always does")]))
        }
        Job::Break => {
            tokio::time::sleep(MOMENT).await;
            Err(ErrorData::internal_error("the job broke, as it always does", None).into())
        }
        Job::Ask(questions) => {
            let asked =
                questions.into_iter().map(|(key, question)| task.request_input(key, question));
            let answers = futures_util::future::try_join_all(asked).await?;
            Ok(text(format!("answered: {}", Value::from(answers))))
        }
        Job::Greet(name) => Ok(text(format!("Hello, {name}!"))),
    }
}
