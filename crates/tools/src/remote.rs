//! Calls that another server answers.

use pitlane_client::RemoteTools;
use serde_json::Value;

use crate::failure::Failure;
use crate::{Answer, Call, Settings};

/// Passes a call on. Dropping the future lets the server know that nobody waits.
pub(crate) async fn call(
    remote: &RemoteTools,
    settings: &Settings,
    call: &Call,
) -> Result<Answer, Failure> {
    let name = call.name();
    let Some(arguments) = call.arguments() else {
        return Err(Failure::new(format!("{name} is not passed on to another server")));
    };
    let answered = remote.call(name, &arguments, settings.timeout).await?;
    // What a server says may be longer than an answer here is.
    let text = tail(&answered.text, settings.output.command_bytes);
    match answered.structured {
        Some(model @ Value::Object(_)) if has_form(&model) => {
            Ok(Answer { failed: answered.failed, ..Answer::new(model, text) })
        }
        // Arguments that it does not take, or a tool that has no model.
        Some(_) | None => Err(Failure::new(text)),
    }
}

/// Whether a model is one of the contract's: each has a message.
fn has_form(model: &Value) -> bool {
    model["message"].is_string()
}

fn tail(text: &str, most: usize) -> String {
    let mut begin = text.len().saturating_sub(most);
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    text[begin..].to_owned()
}
