//! `pitlane mcp config`: a configuration to paste into any client that takes the usual form.

use std::process::ExitCode;

use super::entry::{Entry, Field};
use super::init::json;
use super::server::{self, KEY_HEADER, Server, Source, Variable};
use crate::failure::Failure;
use crate::output;

/// The name that the tools have in the configuration.
const NAME: &str = "pitlane";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: server::ServerArguments,
}

/// Prints the configuration. It is JSON with and without `--json`.
pub(crate) fn config(api_url: Option<&str>, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let server = arguments.server.server(api_url, server::this_program()?)?;
    output::write(text(server, server::usual_variables()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn text(server: Server, usual: Vec<Variable>) -> String {
    let shown = |source: Source| match source {
        Source::Text(text) => text,
        Source::Variable(name) => format!("${{{name}}}"),
    };
    let entry: Entry = match server {
        Server::Process { command, arguments, variables } => {
            let variables = usual.into_iter().chain(variables);
            let variables = variables.map(|variable| (variable.name, shown(variable.source)));
            vec![
                ("command", Field::Text(command)),
                ("args", Field::List(arguments)),
                ("env", Field::Map(variables.collect())),
            ]
        }
        Server::Address { url, key } => vec![
            ("type", Field::Text("http".to_owned())),
            ("url", Field::Text(url)),
            ("headers", Field::Map(vec![(KEY_HEADER.to_owned(), shown(key))])),
        ],
    };
    json::alone(NAME, &entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_form_names_a_process_and_what_it_needs() {
        let variable = |name: &str, value: &str| Variable {
            name: name.to_owned(),
            source: Source::Text(value.to_owned()),
        };
        let server = Server::Process {
            command: "/usr/local/bin/pitlane".to_owned(),
            arguments: vec!["mcp".to_owned(), "start".to_owned()],
            variables: vec![variable("A", "b")],
        };
        insta::assert_snapshot!(text(
            server,
            vec![variable("HOME", "/home/u"), variable("PATH", "/bin")]
        ));
    }

    #[test]
    fn the_usual_form_of_an_address_takes_the_key_from_a_variable() {
        let server = Server::Address {
            url: "http://127.0.0.1:8001/mcp".to_owned(),
            key: Source::Variable("PITLANE_API_KEY".to_owned()),
        };
        insta::assert_snapshot!(text(server, Vec::new()));
    }
}
