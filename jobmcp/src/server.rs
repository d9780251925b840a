//! The server: what it says of itself, and how a call reaches a tool.

use std::sync::Arc;
use std::time::Duration;

use jobcore::front::Settings;
use jobcore::{Job, JobManager, JobSpec, JobSpecBuilder};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CompletionInfo,
    CustomRequest, CustomResult, ErrorData, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse, Reference,
    ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
    UpdateTaskParams,
};
use rmcp::service::SubscriptionContext;
use tokio::runtime::Handle;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::gate::{Gate, Question};
use crate::resources::Subscriptions;
use crate::settings::Background;
use crate::tools::{self, Context};
use crate::{prompts, resources, strangers, tasks, text};

/// The largest request, in bytes.
pub(crate) const LARGEST_REQUEST: usize = 4 << 20;
/// How often somebody who waits is told that the waiting goes on.
const PROGRESS: Duration = Duration::from_secs(5);

/// What every model reads before anything else. Clients cut it off at 2,048 characters.
const INSTRUCTIONS: &str = "\
Runs shell commands as background jobs that outlive this call, this session and this server: builds, test suites, dev \
servers, downloads, REPLs. Use it instead of your own shell for whatever may take longer than a few seconds, or has to \
keep running.

1. execute starts a command. One that ends within wait_s (2 seconds unless you say otherwise) is answered at once with its \
output and exit code; else you get a job id, and it goes on.
2. wait waits for jobs to end, or until a line of output, a port, a file or silence (until); at most 50 seconds a call, then \
call it again. Never poll status in a loop.
3. output and tail read what a job wrote: the beginning and the end of it, or with grep, lines or cursor the part you need. \
Do not pipe into tail: it hides what a command that hangs has said.
4. interact types into jobs started with stdin \"open\" or tty true. kill stops a job with everything it started.

A job is named by its id, a short id or the name you gave it. Output is cleaned of colours and progress bars. Nothing is \
lost when a call is cut off: call list.";

/// What they read where there is an agent to be asked.
const DELEGATES: &str = "\
delegate starts another coding agent on a prompt, as a job like all others: wait returns its answer, status and tail say \
what it is doing.";

/// The MCP server, as one client sees it. Clones are the same server.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
    subscriptions: Arc<Subscriptions>,
}

#[derive(Debug)]
struct Shared {
    jobs: JobManager,
    settings: Settings,
    gate: Gate,
    closing: CancellationToken,
    /// Where calls are done.
    work: Handle,
}

impl Server {
    pub(crate) fn new(jobs: JobManager, settings: Settings, background: Background, work: Handle) -> Self {
        let gate = Gate::new(background);
        let shared = Shared { jobs, settings, gate, closing: CancellationToken::new(), work };
        Self { shared: Arc::new(shared), subscriptions: Arc::default() }
    }

    /// Returns the same server for another client, of which the others learn nothing.
    pub(crate) fn for_client(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), subscriptions: Arc::default() }
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Returns the jobs that it looks after.
    pub fn jobs(&self) -> &JobManager {
        &self.shared.jobs
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn background(&self) -> &Background {
        self.shared.gate.background()
    }

    /// Submits a job. This and [`Server::delegate`] are the only ways in which this server does.
    pub(crate) async fn submit(&self, spec: JobSpec) -> Result<Job, Failure> {
        self.shared.gate.submit(self.jobs(), spec).await
    }

    /// Asks an agent, as a job.
    pub(crate) async fn delegate(
        &self,
        question: Question<'_>,
        described: impl FnOnce(JobSpecBuilder) -> JobSpecBuilder,
    ) -> Result<Job, Failure> {
        self.shared.gate.delegate(self.jobs(), question, described).await
    }

    /// Returns the tools that models are told of.
    fn shown(&self) -> impl Iterator<Item = &'static Tool> {
        let delegates = tools::delegate::is_shown(self);
        tools::listed().iter().filter(move |tool| delegates || tool.name != tools::delegate::NAME)
    }

    /// Is cancelled when the server ends: whoever waits then answers with what there is.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
    }

    /// Does what was asked for in a task of its own, so that one that panics is answered too: the SDK forgets those that do.
    async fn answered<T: Send + 'static>(
        &self,
        what: impl Future<Output = Result<T, ErrorData>> + Send + 'static,
    ) -> Result<T, ErrorData> {
        self.shared.work.spawn(what).await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "a request failed");
            Err(ErrorData::internal_error("this request failed by a fault of the server; jobs are not concerned", None))
        })
    }

    /// Waits for something, and tells the client now and then that it does. Returns nothing if nobody wants to know any
    /// more; no job ends because of that.
    pub(crate) async fn patiently<T>(&self, what: impl Future<Output = T>, context: &Context) -> Option<T> {
        let token = context.meta.get_progress_token();
        let begun = Instant::now();
        let mut ticks = interval_at(begun + PROGRESS, PROGRESS);
        tokio::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Some(done),
                () = context.ct.cancelled() => return None,
                () = self.closing().cancelled() => return None,
                _ = ticks.tick(), if token.is_some() => {
                    let Some(token) = token.clone() else { continue };
                    let seconds = begun.elapsed().as_secs();
                    let progress = ProgressNotificationParam::new(token, seconds as f64)
                        .with_message(format!("waiting for {seconds} s"));
                    // A client that does not listen is no reason to end.
                    let _ = context.peer.notify_progress(progress).await;
                }
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tasks()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("jobmcp", env!("CARGO_PKG_VERSION")))
            .with_instructions(match tools::delegate::is_shown(self) {
                true => format!("{INSTRUCTIONS}\n\n{DELEGATES}"),
                false => INSTRUCTIONS.to_owned(),
            })
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.shown().cloned().collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            let names: Vec<_> = self.shown().map(|tool| tool.name.to_string()).collect();
            let name = text::cut(&request.name, 100);
            let reason = format!("there is no tool `{name}`; there are {}", names.join(", "));
            return Err(ErrorData::invalid_params(reason, None));
        }
        tracing::info!(tool = %request.name, "called");
        let server = self.clone();
        // A task of its own, so that one that panics is answered too: the SDK forgets those that do.
        let call = self.shared.work.spawn(async move {
            let arguments = request.arguments.unwrap_or_default();
            tools::call(&server, &request.name, arguments, &context).await
        });
        Ok(match call.await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => failure.into_result().into(),
            Err(panic) => {
                tracing::error!(%panic, "a call failed");
                Failure::new(
                    "This call failed by a fault of the server; jobs are not concerned. Call list to see them.",
                )
                .into_result()
                .into()
            }
        })
    }

    async fn on_custom_request(&self, request: CustomRequest, context: Context) -> Result<CustomResult, ErrorData> {
        let is_modern = context.meta.protocol_version().is_some();
        Err(strangers::refusal(&request.method, request.params, is_modern))
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        let server = self.clone();
        self.answered(async move { tasks::get(&server, &request.task_id).await }).await
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        tasks::update(self, &request.task_id).await
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        tasks::cancel(self, &request.task_id).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let server = self.clone();
        self.answered(async move { resources::list(&server, request.and_then(|page| page.cursor)).await }).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let server = self.clone();
        self.answered(async move { Ok(resources::read(&server, &request.uri).await?.into()) }).await
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let wanted = requested.resource_subscriptions.iter().flatten();
        let uris = wanted.filter(|uri| resources::is_one(uri)).cloned();
        Some(SubscriptionFilter::builder().resource_subscriptions(uris.collect::<Vec<_>>()).build())
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        resources::listen(self, &subscription).await;
        Ok(())
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        resources::subscribe(self, request.uri, context.peer).await
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        self.subscriptions().remove(&request.uri);
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::all()))
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, _: Context) -> Result<GetPromptResponse, ErrorData> {
        Ok(prompts::get(&request.name, &request.arguments.unwrap_or_default())?.into())
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        let values = match &request.r#ref {
            Reference::Prompt(prompt) => prompts::complete(self, &prompt.name, &request.argument).await?,
            Reference::Resource(template) => resources::complete(self, &template.uri, &request.argument).await?,
            _ => return Err(ErrorData::invalid_params("there is nothing of this kind to complete", None)),
        };
        let more = values.len() > CompletionInfo::MAX_VALUES;
        let values = values.into_iter().take(CompletionInfo::MAX_VALUES).collect();
        let completion = CompletionInfo::with_pagination(values, None, more);
        Ok(CompleteResult::new(completion.map_err(|reason| ErrorData::internal_error(reason, None))?))
    }
}
