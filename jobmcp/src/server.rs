//! The server: what it says of itself, and how a call reaches a tool.

use std::sync::Arc;
use std::time::Duration;

use jobcli::settings::Settings;
use jobcore::JobManager;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ErrorData, GetTaskParams, GetTaskResult, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
    UpdateTaskParams,
};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::tasks;
use crate::tools::{self, Context};

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
3. output and tail read what a job wrote: the beginning and the end of it, or with grep, lines or cursor the part you need.
4. interact types into jobs started with stdin \"open\" or tty true. kill stops a job with everything it started.

A job is named by its id, a short id or the name you gave it. Output is cleaned of colours and progress bars. Nothing is \
lost when a call is cut off: call list.";

/// The MCP server. Clones are the same server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    jobs: JobManager,
    settings: Settings,
    closing: CancellationToken,
}

impl Server {
    pub(crate) fn new(jobs: JobManager, settings: Settings) -> Self {
        let shared = Shared { jobs, settings, closing: CancellationToken::new() };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn jobs(&self) -> &JobManager {
        &self.shared.jobs
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Is cancelled when the server ends: whoever waits then answers with what there is.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
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
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tasks().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("jobmcp", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all().to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            let names: Vec<_> = tools::all().iter().map(|tool| tool.name.to_string()).collect();
            let reason = format!("there is no tool `{}`; there are {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(reason, None));
        }
        let server = self.clone();
        // A task of its own, so that one that panics is answered too: the SDK forgets those that do.
        let call = tokio::spawn(async move {
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

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        tasks::get(self, &request.task_id).await
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        tasks::update(self, &request.task_id).await
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        tasks::cancel(self, &request.task_id).await
    }
}
