//! The server's description of itself, and the dispatch of requests.

use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CompletionInfo,
    ContentBlock, CustomRequest, CustomResult, ErrorData, GetPromptRequestParams, GetPromptResponse,
    GetSkillRequestParams, GetSkillResult, GetTaskParams, GetTaskResult, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, Reference, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::SubscriptionContext;

use crate::events::{self, Method};
use crate::failure::Failure;
use crate::news;
use crate::server::{Context, Server};
use crate::{prompts, resources, skill, strangers, tasks, text, tools};

/// The instructions that every model reads first. Clients cut them off at 2,048 characters.
const INSTRUCTIONS: &str = "\
Runs shell commands as background jobs that outlive this call, this session and this server: builds, test suites, dev \
servers, downloads, REPLs. Use it instead of your own shell for whatever may take longer than a few seconds or has to \
keep running.

1. execute starts one command or several (commands, at_a_time). If it ends within wait_s, you get its exit code and the \
end of its output; until waits for a line, a port, a file or silence instead, grep shows only matching lines.
2. wait waits for jobs, or a whole group, to end, or for a condition: at most 50 seconds a call, then call it again. \
It shows only new output. Never poll status in a loop.
3. output reads a job's output: all of it if short, or the part you need by grep, lines or cursor. Do not pipe into tail \
or grep: output is kept (10 MiB, or output_limit) and can be searched later.
4. interact types into jobs started with stdin \"open\" or tty true. kill stops a job with everything it started.

Refer to a job by its name or short id. Output is cleaned of colours and progress bars. Nothing is lost if a call is cut \
off: call list.";

/// More instructions, for servers where an agent is available.
const DELEGATES: &str = "\
delegate starts another coding agent on a prompt, as a job like any other: wait returns its answer, output shows what it \
is doing.";

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tasks()
            .enable_skills()
            .build();
        let extensions = capabilities.extensions.get_or_insert_default();
        extensions.insert(events::EXTENSION.to_owned(), events::capability());
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("jobmcp", env!("CARGO_PKG_VERSION")))
            .with_instructions(match tools::delegate::is_shown(self) {
                true => format!("{INSTRUCTIONS}\n\n{DELEGATES}"),
                false => INSTRUCTIONS.to_owned(),
            })
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(shown(self).cloned().collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            let names: Vec<_> = shown(self).map(|tool| tool.name.to_string()).collect();
            let name = text::cut(&request.name, 100);
            let reason = format!("there is no tool `{name}`; there are {}", names.join(", "));
            return Err(ErrorData::invalid_params(reason, None));
        }
        tracing::info!(tool = %request.name, "called");
        let server = self.for_call(&context);
        let (call, of_call) = (server.clone(), context.clone());
        // In its own task, so that a call that panics is answered as well: the SDK would not answer it.
        let call = self.work().spawn(async move {
            let arguments = request.arguments.unwrap_or_default();
            tools::call(&call, &request.name, arguments, &of_call).await
        });
        let mut response = match call.await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => failure.into_result().into(),
            Err(panic) => {
                tracing::error!(%panic, "a call failed");
                Failure::new(
                    "This call failed because of a bug in the server; jobs are not affected. Call list to see them.",
                )
                .into_result()
                .into()
            }
        };
        if let CallToolResponse::Complete(result) = &mut response
            && let Some(news) = news::since_last_call(&server, &context).await
        {
            result.content.push(ContentBlock::text(news));
        }
        Ok(response)
    }

    async fn on_custom_request(&self, request: CustomRequest, context: Context) -> Result<CustomResult, ErrorData> {
        if let Some(method) = Method::of(&request.method) {
            let server = self.for_call(&context);
            let answer = async move { events::answer(&server, method, request.params, &context).await };
            return answered(self, answer).await;
        }
        let is_modern = context.meta.protocol_version().is_some();
        Err(strangers::refusal(&request.method, request.params, is_modern))
    }

    async fn get_task(&self, request: GetTaskParams, context: Context) -> Result<GetTaskResult, ErrorData> {
        let server = self.for_call(&context);
        answered(self, async move {
            let answer = tasks::get(&server, &request.task_id).await;
            news::count_shown(&server, &context).await;
            answer
        })
        .await
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
        answered(self, async move { resources::list(&server, request.and_then(|page| page.cursor)).await }).await
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
        if let Some(skill) = skill::read(&request.uri) {
            return Ok(skill.into());
        }
        let server = self.clone();
        answered(self, async move { Ok(resources::read(&server, &request.uri).await?.into()) }).await
    }

    async fn list_skills(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListSkillsResult, ErrorData> {
        Ok(skill::list())
    }

    async fn get_skill(&self, request: GetSkillRequestParams, _: Context) -> Result<GetSkillResult, ErrorData> {
        skill::get(&request.uri)
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
            _ => return Err(ErrorData::invalid_params("this kind of reference has no completions", None)),
        };
        let more = values.len() > CompletionInfo::MAX_VALUES;
        let values = values.into_iter().take(CompletionInfo::MAX_VALUES).collect();
        let completion = CompletionInfo::with_pagination(values, None, more);
        Ok(CompleteResult::new(completion.map_err(|reason| ErrorData::internal_error(reason, None))?))
    }
}

/// Returns the tools that are listed.
fn shown(server: &Server) -> impl Iterator<Item = &'static Tool> {
    let delegates = tools::delegate::is_shown(server);
    tools::listed().iter().filter(move |tool| delegates || tool.name != tools::delegate::NAME)
}

/// Runs a request in its own task, so that one that panics is answered as well: the SDK would not answer it.
async fn answered<T: Send + 'static>(
    server: &Server,
    what: impl Future<Output = Result<T, ErrorData>> + Send + 'static,
) -> Result<T, ErrorData> {
    server.work().spawn(what).await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a request failed");
        Err(ErrorData::internal_error(
            "this request failed because of a bug in the server; jobs are not affected",
            None,
        ))
    })
}
