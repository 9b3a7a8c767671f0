//! The MCP server: what it says of itself, and who does what.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::request::Parts as HttpParts;
use pitlane_tools::Operation;
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
    CompleteRequestParams, CompleteResult, ContentBlock, ErrorData, GetPromptRequestParams,
    GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams,
    InitializeResult, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, ToolAnnotations, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::access::Access;
use crate::conformance::Fixtures;
use crate::intake::Intake;
use crate::seal::Seal;
use crate::settings::Settings;
use crate::tasks::{Owned, Tasks};
use crate::{call, prompts, resources};

/// How long lists may be kept by clients: they change with the program's version only.
const LISTS_LAST: Duration = Duration::from_secs(60 * 60);

/// What a call is told for which there is no room.
pub(crate) const TOO_MANY: &str =
    "Too many calls are under way on this server. Make this one again in a moment.";

/// How long calls may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(8);
/// How long the others may take to be told.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What clients tell their models about this server as a whole.
const INSTRUCTIONS: &str = "Isolated Linux sandboxes for running code, shell commands and git, and for working with \
files, never on this machine. Create a sandbox once and use its sandbox_id in every later call. A sandbox stops after 15 \
minutes without use and is then deleted unless it is persistent; delete it when you are done. Output is cut to its last \
part; the answer says how to read the rest. An exit_code other than 0 is a result, not an error.";

/// The MCP server. Clones are the same server.
#[derive(Debug, Clone)]
pub struct Server(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    settings: Settings,
    tools: Vec<Tool>,
    fixtures: Option<Fixtures>,
    /// What is used by requests that did not come over HTTP.
    own: Option<Access>,
    seal: Seal,
    tasks: Tasks,
    intake: Intake,
    calls: TaskTracker,
    closing: CancellationToken,
    ending: CancellationToken,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine has no randomness.
    #[error("cannot make a secret")]
    Secret(#[from] getrandom::Error),
    /// A schema of a tool is no object, or the conformance suite's data is damaged.
    #[error("cannot describe the tools")]
    Tools(#[from] serde_json::Error),
}

/// The call of a request over HTTP. Whoever sends the answer keeps it until that is done: a call whose handler has returned
/// is one that the server's end still has to wait for.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<OnceLock<Arc<TaskTrackerToken>>>);

impl UnderWay {
    fn hold(call: TaskTrackerToken, context: &RequestContext<RoleServer>) -> Arc<TaskTrackerToken> {
        let call = Arc::new(call);
        let parts = context.extensions.get::<HttpParts>();
        if let Some(underway) = parts.and_then(|parts| parts.extensions.get::<Self>()) {
            underway.0.get_or_init(|| Arc::clone(&call));
        }
        call
    }
}

impl Server {
    /// A server. `own` is for requests that bring nothing themselves, as those over standard input.
    ///
    /// # Errors
    ///
    /// [`StartError`]: this program is damaged, or the machine is.
    pub fn new(settings: Settings, own: Option<Access>) -> Result<Self, StartError> {
        let fixtures = settings.conformance.then(Fixtures::read).transpose()?;
        let mut tools = Vec::new();
        for operation in operations(&settings) {
            tools.push(described(operation)?);
        }
        Ok(Self(Arc::new(Parts {
            tools,
            fixtures,
            own,
            seal: Seal::new()?,
            tasks: Tasks::default(),
            intake: Intake::new(),
            calls: TaskTracker::new(),
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
            settings,
        })))
    }

    /// Waits for `stop`, then lets calls under way end for a while, tells those that do not, and ends what is left:
    /// sessions, streams, tasks.
    pub async fn run_until(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.0.calls.close();
        if tokio::time::timeout(GRACE, self.0.calls.wait()).await.is_err() {
            tracing::info!(grace_s = GRACE.as_secs(), "ending tool calls");
            self.0.closing.cancel();
            if tokio::time::timeout(LAST_WORDS, self.0.calls.wait()).await.is_err() {
                tracing::warn!("some tool calls were not told of the end");
            }
        }
        self.0.tasks.end();
        self.0.ending.cancel();
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    pub(crate) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// A place for a call, while it is held; `None` if there is no more room. The server's end waits for it.
    pub(crate) fn begin_call(&self) -> Option<TaskTrackerToken> {
        let is_full = self.0.settings.max_calls.is_some_and(|most| self.0.calls.len() >= most);
        (!is_full).then(|| self.0.calls.token())
    }

    /// Cancelled when calls under way must end.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Cancelled when everything must end.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }

    /// The operations that may be called, always in the same order.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &'static Operation> + '_ {
        operations(&self.0.settings)
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations().find(|operation| operation.name == name)
    }

    /// What whoever makes this request may use.
    pub(crate) fn access(&self, context: &RequestContext<RoleServer>) -> Result<Access, ErrorData> {
        let brought = context.extensions.get::<HttpParts>().map(|parts| parts.extensions.get());
        let access = match brought {
            Some(brought) => brought.cloned(),
            None => self.0.own.clone(),
        };
        access.ok_or_else(|| ErrorData::invalid_request("no API key came with this request", None))
    }
}

fn operations(settings: &Settings) -> impl Iterator<Item = &'static Operation> + '_ {
    let may = |operation: &&Operation| {
        let methods = &settings.methods;
        methods.is_empty() || methods.iter().any(|method| method == operation.name)
    };
    settings.toolset.operations().iter().filter(may)
}

/// An operation as the protocol lists it.
fn described(operation: &Operation) -> Result<Tool, serde_json::Error> {
    let input: JsonObject = serde_json::from_value(operation.input_schema.clone())?;
    let annotations = ToolAnnotations::new()
        .read_only(operation.annotations.read_only)
        .destructive(operation.annotations.destructive)
        .idempotent(operation.annotations.idempotent)
        .open_world(operation.annotations.open_world);
    let mut tool = Tool::new(operation.name, operation.description, Arc::new(input))
        .with_title(operation.title)
        .with_annotations(annotations);
    if let Some(output) = &operation.output_schema {
        let output: JsonObject = serde_json::from_value(output.clone())?;
        tool = tool.with_raw_output_schema(Arc::new(output));
    }
    Ok(tool)
}

fn lists_last() -> u64 {
    u64::try_from(LISTS_LAST.as_millis()).unwrap_or(u64::MAX)
}

#[expect(
    deprecated,
    reason = "resources/subscribe and logging belong to the earlier era, whose conformance suite asks for them"
)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .enable_tasks()
            .build();
        if self.0.fixtures.is_some() {
            capabilities.logging = Some(JsonObject::new());
            if let Some(resources) = &mut capabilities.resources {
                resources.subscribe = Some(true);
            }
            if let Some(tools) = &mut capabilities.tools {
                tools.list_changed = Some(true);
            }
            if let Some(prompts) = &mut capabilities.prompts {
                prompts.list_changed = Some(true);
            }
        }
        let implementation = Implementation::new("pitlane", self.0.settings.version.clone())
            .with_title("Pitlane sandboxes");
        ServerConfig::new(capabilities)
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        tracing::debug!(client = ?request.client_info.name, "initialize");
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools = self.0.tools.clone();
        tools.extend(self.0.fixtures.iter().flat_map(|fixtures| fixtures.tools.clone()));
        Ok(ListToolsResult::with_all_items(tools)
            .with_ttl_ms(lists_last())
            .with_cache_scope(CacheScope::Public))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let fixtures = self.0.fixtures.iter().flat_map(|fixtures| &fixtures.tools);
        self.0.tools.iter().chain(fixtures).find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(underway) = self.begin_call() else {
            return Ok(CallToolResult::error(vec![ContentBlock::text(TOO_MANY)]).into());
        };
        let _underway = UnderWay::hold(underway, &context);
        match &self.0.fixtures {
            Some(fixtures) if fixtures.has_tool(&request.name) => {
                let tasks = self.tasks_of(&context);
                fixtures.call(request, context, self.seal(), tasks).await
            }
            Some(_) | None => Box::pin(call::call(self, request, context)).await,
        }
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = self.0.fixtures.iter().flat_map(|fixtures| fixtures.resources.clone()).collect();
        Ok(ListResourcesResult::with_all_items(all)
            .with_ttl_ms(lists_last())
            .with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut templates = resources::templates();
        templates.extend(self.0.fixtures.iter().flat_map(|fixtures| fixtures.templates.clone()));
        Ok(ListResourceTemplatesResult::with_all_items(templates)
            .with_ttl_ms(lists_last())
            .with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let of_suite =
            self.0.fixtures.as_ref().and_then(|fixtures| fixtures.resource(&request.uri));
        match of_suite {
            Some(result) => Ok(result.into()),
            None => resources::read(self, &request.uri, &context).await.map(Into::into),
        }
    }

    /// Nothing that is listed changes while this program runs, so that nobody can subscribe, except to the suite's.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.0.fixtures.as_ref().map(|_| requested.clone())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        match &self.0.fixtures {
            Some(fixtures) => fixtures.changes.follow(subscription).await,
            None => Ok(()),
        }
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.only_of_the_suite(&request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.only_of_the_suite(&request.uri)
    }

    async fn set_level(
        &self,
        _request: rmcp::model::SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        match self.0.fixtures {
            Some(_) => Ok(()),
            None => Err(ErrorData::method_not_found::<rmcp::model::SetLevelRequestMethod>()),
        }
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut all = prompts::all();
        all.extend(self.0.fixtures.iter().flat_map(|fixtures| fixtures.prompts.clone()));
        Ok(ListPromptsResult::with_all_items(all)
            .with_ttl_ms(lists_last())
            .with_cache_scope(CacheScope::Public))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let of_suite = self.0.fixtures.as_ref().and_then(|fixtures| fixtures.prompt(&request));
        match of_suite {
            Some(result) => result,
            None => prompts::filled(&request).map(Into::into),
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        resources::complete(self, &request, &context).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.tasks_of(&context).read(&request.task_id)?;
        Ok(GetTaskResult::new(task))
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks_of(&context).answer(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks_of(&context).cancel(&request.task_id)
    }
}

impl Server {
    /// The tasks that a request may be about.
    fn tasks_of(&self, context: &RequestContext<RoleServer>) -> Owned<'_> {
        self.tasks().of(self.access(context).ok().map(|access| access.caller))
    }

    fn only_of_the_suite(&self, uri: &str) -> Result<(), ErrorData> {
        match &self.0.fixtures {
            Some(fixtures) if fixtures.resource(uri).is_some() => Ok(()),
            Some(_) | None => Err(ErrorData::resource_not_found(
                "only resources that change can be subscribed to, and there are none",
                Some(Value::from(uri)),
            )),
        }
    }
}
