//! One call of a tool: from arguments to a result, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Resource,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use pitlane_tools::{
    Answer, Call, CallError, Missing, Operation, Progress, Tools, Unmade, count_unmade,
};

use crate::access::Access;
use crate::metrics;
use crate::question::{self, Question};
use crate::server::Server;
use crate::tasks;

/// How long a call of a client that knows tasks may take before it becomes one.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where reports of progress go: only the newest one counts.
#[derive(Debug)]
struct Reports(watch::Sender<Option<Report>>);

#[derive(Debug, Clone)]
struct Report {
    done: f64,
    total: Option<f64>,
    message: String,
}

impl Progress for Reports {
    fn report(&self, done: f64, total: Option<f64>, message: &str) {
        self.0.send_replace(Some(Report { done, total, message: message.to_owned() }));
    }
}

/// Calls a tool.
///
/// Dropping the future ends the command that it runs; so does the client's word that it wants it no more.
///
/// # Errors
///
/// There is no such tool, the state of an earlier round is not ours, or the call was cancelled. Everything else is a
/// result that says what failed and what to do.
pub(crate) async fn call(
    server: &Server,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let operation =
        server.operation(&request.name).ok_or_else(|| unknown(server, &request.name))?;
    let access = server.access(&context)?;
    let arguments = match question::answered(server.seal(), &access.caller, operation, &request)? {
        Ok(arguments) => arguments,
        Err(refusal) => {
            count_unmade(operation, Unmade::Invalid);
            return Ok(refusal.into());
        }
    };
    let parsed = server.settings().toolset.parse(operation.name, arguments.clone());
    let call = match parsed {
        Ok(call) => call,
        Err(error) => {
            let missing = error.missing().to_vec();
            let asked = ask(server, operation, &access, &context, arguments, &missing);
            let (response, outcome) = match asked.await {
                Ok(Asked::Call(call)) => {
                    return run(operation, access, *call, context, server).await;
                }
                Ok(Asked::Respond(response)) => (Ok(response), Unmade::Asked),
                Ok(Asked::Nobody) => (Ok(invalid(&error).into()), Unmade::Invalid),
                Err(cancelled) => (Err(cancelled), Unmade::Cancelled),
            };
            count_unmade(operation, outcome);
            return response;
        }
    };
    run(operation, access, call, context, server).await
}

/// What came of asking.
enum Asked {
    /// The user has answered: this can be done.
    Call(Box<Call>),
    /// The client gets this, and comes back.
    Respond(CallToolResponse),
    /// There is nobody to ask, or nobody wanted to answer.
    Nobody,
}

async fn ask(
    server: &Server,
    operation: &'static Operation,
    access: &Access,
    context: &RequestContext<RoleServer>,
    arguments: Value,
    missing: &[Missing],
) -> Result<Asked, ErrorData> {
    let Some(question) = Question::about(operation, missing) else { return Ok(Asked::Nobody) };
    if let Some(unfinished) = question.as_result(server.seal(), &access.caller, &arguments, context)
    {
        return Ok(Asked::Respond(unfinished.into()));
    }
    let answer = tokio::select! {
        answer = question.put_to(context) => answer,
        () = context.ct.cancelled() => return Err(cancelled()),
        () = server.closing().cancelled() => return Ok(Asked::Nobody),
    };
    let Some(answer) = answer else { return Ok(Asked::Nobody) };
    let completed = question::completed(arguments, answer);
    match server.settings().toolset.parse(operation.name, completed) {
        Ok(call) => Ok(Asked::Call(Box::new(call))),
        Err(error) => Ok(Asked::Respond(invalid(&error).into())),
    }
}

async fn run(
    operation: &'static Operation,
    access: Access,
    call: Call,
    context: RequestContext<RoleServer>,
    server: &Server,
) -> Result<CallToolResponse, ErrorData> {
    let knows_tasks = context.client_capabilities().is_some_and(|client| client.supports_tasks());
    let (sender, reports) = watch::channel(None);
    let closing = server.closing().clone();
    let work = work(access.tools.clone(), call, Arc::new(Reports(sender)), operation, closing);
    let mut work = Box::pin(work);
    let telling = tell(&context, reports);
    tokio::select! {
        biased;
        result = &mut work => return Ok(result.into()),
        () = context.ct.cancelled() => return Err(cancelled()),
        // Never ends by itself; a client that does not read holds it up, and nothing else.
        () = telling => {}
        () = patience(server, &access), if knows_tasks => {}
    }
    metrics::became_a_task();
    let started = server
        .tasks()
        .of(Some(access.caller))
        .start(move |task| Box::pin(tasks::until_cancelled(task, work)))?;
    Ok(started.into())
}

/// Waits until a call becomes a task. Where its caller has too many of those it stays a call.
async fn patience(server: &Server, access: &Access) {
    tokio::time::sleep(PATIENCE).await;
    if !server.tasks().of(Some(access.caller)).has_room() {
        std::future::pending::<()>().await;
    }
}

async fn work(
    tools: Tools,
    call: Call,
    progress: Arc<Reports>,
    operation: &'static Operation,
    closing: CancellationToken,
) -> CallToolResult {
    result(operation, tools.call_until(call, progress.as_ref(), closing.cancelled()).await)
}

/// Tells the client how far a call is, if it wants to know. Never ends.
async fn tell(context: &RequestContext<RoleServer>, mut reports: watch::Receiver<Option<Report>>) {
    let Some(token) = context.meta.get_progress_token() else {
        return std::future::pending().await;
    };
    let mut told = f64::NEG_INFINITY;
    while reports.changed().await.is_ok() {
        let report = reports.borrow_and_update().clone();
        let Some(report) = report.filter(|report| report.done > told) else { continue };
        told = report.done;
        if !send(&context.peer, token.clone(), report).await {
            break;
        }
    }
    std::future::pending::<()>().await;
}

async fn send(peer: &Peer<RoleServer>, token: rmcp::model::ProgressToken, report: Report) -> bool {
    let mut told = rmcp::model::ProgressNotificationParam::new(token, report.done);
    if let Some(total) = report.total {
        told = told.with_total(total);
    }
    if !report.message.is_empty() {
        told = told.with_message(report.message);
    }
    peer.notify_progress(told).await.is_ok()
}

/// An answer as the protocol has it: a short text for models, the same in full for programs, and where there is more.
fn result(operation: &Operation, answer: Answer) -> CallToolResult {
    let mut content = vec![ContentBlock::text(answer.text)];
    content.extend(answer.links.into_iter().map(|link| {
        let mut resource = Resource::new(link.uri, link.name).with_description(link.description);
        if let Some(media_type) = link.media_type {
            resource = resource.with_mime_type(media_type);
        }
        ContentBlock::resource_link(resource)
    }));
    let mut result = if answer.failed {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    if operation.output_schema.is_some() {
        result.structured_content = Some(answer.structured);
    }
    result
}

/// Why a call cannot be made, and what would do.
pub(crate) fn invalid(error: &CallError) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!("{error}\n{}", error.guidance()))])
}

fn unknown(server: &Server, name: &str) -> ErrorData {
    let known: Vec<&str> = server.operations().map(|operation| operation.name).collect();
    ErrorData::invalid_params(format!("unknown tool: {name}; there are {}", known.join(", ")), None)
}

fn cancelled() -> ErrorData {
    ErrorData::internal_error("the call was cancelled", None)
}
