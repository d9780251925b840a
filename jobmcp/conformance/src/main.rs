//! `jobmcp` with the tools, prompts and resources that the official conformance suite requires by name: for tests, and
//! not part of any release.
//!
//! The fixtures answer first, and the server answers everything else. The work of a fixture's tool is done by a job
//! started with `execute`, so that the suite tests how this server runs and reports jobs, and not how well a fixture
//! pretends to.

mod content;
mod dialogue;
mod job;
mod tools;

use std::process::ExitCode;

use jobmcp::Server;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, Reference, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};

type Context = RequestContext<RoleServer>;

/// The server with the fixtures in front of it, as seen by one client.
#[derive(Debug)]
struct Fixtures(Server);

fn main() -> ExitCode {
    jobmcp::main_behind(Fixtures)
}

#[expect(deprecated, reason = "deprecated parts of the protocol are passed on as well")]
impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        self.0.get_info()
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = self.0.list_tools(request, context).await?;
        result.tools.extend(tools::all().cloned());
        Ok(result)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::all().find(|tool| tool.name == name).cloned().or_else(|| self.0.get_tool(name))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: Context) -> Result<CallToolResponse, ErrorData> {
        match tools::find(&request.name) {
            Some(fixture) => tools::call(&self.0, fixture, request, &context).await,
            None => self.0.call_tool(request, context).await,
        }
    }

    async fn get_task(&self, request: GetTaskParams, context: Context) -> Result<GetTaskResult, ErrorData> {
        let id = request.task_id.clone();
        let mut result = self.0.get_task(request, context).await?;
        tools::amend(&self.0, &id, &mut result.task).await?;
        Ok(result)
    }

    async fn update_task(&self, request: UpdateTaskParams, context: Context) -> Result<(), ErrorData> {
        let (id, answers) = (request.task_id.clone(), request.input_responses.clone());
        // The server checks that the task exists.
        self.0.update_task(request, context).await?;
        tools::update(&self.0, &id, &answers).await
    }

    async fn cancel_task(&self, request: CancelTaskParams, context: Context) -> Result<(), ErrorData> {
        self.0.cancel_task(request, context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut result = self.0.list_resources(request, context).await?;
        if result.next_cursor.is_none() {
            result.resources.extend(content::resources());
        }
        Ok(result)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut result = self.0.list_resource_templates(request, context).await?;
        result.resource_templates.push(content::template());
        Ok(result)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match content::read(&request.uri) {
            Some(result) => Ok(result.into()),
            None => self.0.read_resource(request, context).await,
        }
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.0.accepted_subscription_filter(requested)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        self.0.listen(subscription).await
    }

    async fn subscribe(&self, request: SubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        // It never changes, so there is nothing to notify about.
        if request.uri == content::WATCHED {
            return Ok(());
        }
        self.0.subscribe(request, context).await
    }

    async fn unsubscribe(&self, request: UnsubscribeRequestParams, context: Context) -> Result<(), ErrorData> {
        self.0.unsubscribe(request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut result = self.0.list_prompts(request, context).await?;
        result.prompts.extend(content::prompts());
        Ok(result)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == content::ASKING_PROMPT {
            return content::ask(&self.0, request, &context).await;
        }
        match content::prompt(&request.name, &request.arguments.clone().unwrap_or_default()) {
            Some(result) => Ok(result.into()),
            None => self.0.get_prompt(request, context).await,
        }
    }

    async fn complete(&self, request: CompleteRequestParams, context: Context) -> Result<CompleteResult, ErrorData> {
        match &request.r#ref {
            Reference::Prompt(prompt) if content::is_prompt(&prompt.name) => Ok(CompleteResult::default()),
            _ => self.0.complete(request, context).await,
        }
    }
}
