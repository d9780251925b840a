//! The annotations of tools.

use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde_json::Value;

use super::schema;

/// The effects of a tool: whether it changes anything, and whether calling it again changes more.
pub(super) struct Nature {
    pub(super) reads: bool,
    pub(super) destroys: bool,
    pub(super) repeats: bool,
    /// Whether its effects reach beyond jobs: a command can do anything.
    pub(super) open: bool,
    /// Whether clients that defer tools should load this one at once.
    pub(super) core: bool,
}

/// Returns the description of a tool for clients.
pub(super) fn tool<T: JsonSchema + 'static>(
    name: &'static str,
    title: &str,
    description: &'static str,
    nature: &Nature,
) -> Tool {
    let mut annotations = ToolAnnotations::new().read_only(nature.reads).open_world(nature.open);
    if !nature.reads {
        annotations = annotations.destructive(nature.destroys);
    }
    if !nature.reads && nature.repeats {
        annotations = annotations.idempotent(true);
    }
    let tool = Tool::new_with_raw(name, Some(description.into()), schema::of::<T>())
        .with_title(title)
        .with_annotations(annotations);
    if !nature.core {
        return tool;
    }
    let mut meta = JsonObject::new();
    meta.insert("anthropic/alwaysLoad".to_owned(), Value::Bool(true));
    tool.with_meta(MetaObject(meta))
}

pub(super) const READS: Nature = Nature { reads: true, destroys: false, repeats: true, open: false, core: false };
