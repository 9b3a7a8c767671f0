//! Prompts: how to begin with what the tools are for.

use rmcp::model::{
    ErrorData, GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role,
};
use serde_json::Value;

/// One prompt: its text has its arguments' names in braces.
struct Template {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    text: &'static str,
}

const TEMPLATES: [Template; 3] = [
    Template {
        name: "try_in_sandbox",
        title: "Try something in a sandbox",
        description: "Do a task in a fresh sandbox and report what was seen",
        arguments: &[("task", "What to do")],
        text: "Do this in a new sandbox, not on this machine:\n\n{task}\n\nCreate the sandbox with create_sandbox, run \
               what is needed with execute_code or execute_shell, and check the result by running it. Delete the sandbox \
               with delete_sandbox at the end. Report what you ran and what came out, failures included.",
    },
    Template {
        name: "work_on_repository",
        title: "Work on a repository in a sandbox",
        description: "Clone a repository into a sandbox, make a change, and run its tests",
        arguments: &[("repository_url", "Address to clone"), ("change", "What to change")],
        text: "Create a sandbox with create_sandbox and clone {repository_url} into it with git_operation. Then:\n\n\
               {change}\n\nFind out how the project runs its tests and run them before and after. Show the difference \
               (git diff) and the outcome of the tests. Keep the sandbox and tell its id.",
    },
    Template {
        name: "tidy_sandboxes",
        title: "Tidy up sandboxes",
        description: "Find sandboxes that nobody needs any more",
        arguments: &[],
        text: "List my sandboxes with list_sandboxes. For each that is stopped or was last used long ago, say what is in \
               it (get_sandbox_info) and ask me before you delete it with delete_sandbox.",
    },
];

/// All prompts.
pub(crate) fn all() -> Vec<Prompt> {
    let argument = |(name, description): &(&'static str, &'static str)| {
        PromptArgument::new(*name).with_description(*description).with_required(true)
    };
    let prompt = |template: &Template| {
        let arguments: Vec<PromptArgument> = template.arguments.iter().map(argument).collect();
        Prompt::new(template.name, Some(template.description), Some(arguments))
            .with_title(template.title)
    };
    TEMPLATES.iter().map(prompt).collect()
}

/// A prompt with its arguments in their places.
///
/// # Errors
///
/// There is no such prompt, or an argument is missing.
pub(crate) fn filled(request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    let template = TEMPLATES.iter().find(|template| template.name == request.name);
    let template = template.ok_or_else(|| {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        let why = format!("unknown prompt: {}; there are {}", request.name, names.join(", "));
        ErrorData::invalid_params(why, None)
    })?;
    let given = request.arguments.as_ref();
    let mut rest = template.text;
    let mut text = String::new();
    // In one pass, so that what an argument says is not looked into.
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = given.and_then(|given| given.get(name)).and_then(Value::as_str);
        let value = value.filter(|value| !value.trim().is_empty()).ok_or_else(|| {
            ErrorData::invalid_params(format!("the prompt {} needs {name}", template.name), None)
        })?;
        text.push_str(before);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    let message = PromptMessage::new_text(Role::User, text);
    Ok(GetPromptResult::new(vec![message]).with_description(template.description))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(name: &str, arguments: &Value) -> GetPromptRequestParams {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        GetPromptRequestParams::new(name).with_arguments(arguments)
    }

    #[test]
    fn every_argument_has_its_place_and_every_place_its_argument() {
        for template in &TEMPLATES {
            let places: Vec<&str> = template
                .text
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
                .collect();
            let arguments: Vec<&str> = template.arguments.iter().map(|(name, _)| *name).collect();
            assert_eq!(places, arguments, "{}", template.name);
        }
    }

    #[test]
    fn an_argument_is_put_in_as_it_is_and_a_missing_one_is_named() {
        let given = json!({"task": "say {task}"});
        let filled_in = filled(&request("try_in_sandbox", &given)).unwrap();
        let text = serde_json::to_string(&filled_in.messages).unwrap();
        assert!(text.contains("say {task}"), "{text}");
        let refusal = filled(&request("try_in_sandbox", &json!({}))).unwrap_err();
        assert_eq!(refusal.message, "the prompt try_in_sandbox needs task");
    }
}
