//! The suite's tools that say that a list has changed, and the subscriptions that hear it.

use rmcp::model::{CallToolResult, ErrorData};
use rmcp::service::SubscriptionContext;
use tokio::sync::broadcast;

use super::text;

/// How many changes a subscription may be behind.
const BACKLOG: usize = 16;

/// Which list is said to have changed.
#[derive(Debug, Clone, Copy)]
enum Change {
    Tools,
    Prompts,
}

/// Tells subscriptions of changes.
#[derive(Debug)]
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Changes {
    /// Calls one of the tools that say so; `None` for every other.
    pub(super) fn call(&self, name: &str) -> Option<CallToolResult> {
        let change = match name {
            "test_trigger_tool_change" => Change::Tools,
            "test_trigger_prompt_change" => Change::Prompts,
            _ => return None,
        };
        let heard = self.0.send(change).unwrap_or(0);
        Some(text(format!("{heard} subscriptions were told")))
    }

    /// Tells one subscription of what it wants to hear, until it ends.
    pub(crate) async fn follow(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.0.subscribe();
        let (sink, accepted) = (subscription.sink().clone(), subscription.accepted().clone());
        loop {
            let change = tokio::select! {
                () = subscription.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            let told = match change {
                Ok(Change::Tools) if accepted.tools_list_changed == Some(true) => {
                    sink.notify_tool_list_changed().await
                }
                Ok(Change::Prompts) if accepted.prompts_list_changed == Some(true) => {
                    sink.notify_prompt_list_changed().await
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
            told.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
    }
}
