//! The file of tools that `--config` names: which server the tools speak to, and how they behave.

use std::path::PathBuf;
use std::sync::Arc;

use pitlane_client::{Client, RemoteTools};
use pitlane_mcp::langswarm::configuration::{Backend, Configuration, RemoteServer, Tool};
use pitlane_mcp::{Access, AccessError, OpenWith};
use pitlane_tools::{Settings, Tools};

use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::{connection, environment};

#[derive(Debug, Default, clap::Args)]
pub(super) struct ConfigurationArguments {
    /// A file with a `tools:` list as LangSwarm's have it: the server, its key, and how the tools behave
    #[arg(long, env = "PITLANE_MCP_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which tool of the file this is [default: the first]
    #[arg(long, env = "PITLANE_MCP_TOOL", hide_env_values = true, value_name = "ID")]
    tool: Option<String>,
}

/// Whose key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// This process' own.
    Own,
    /// Those that callers bring.
    Callers,
}

impl ConfigurationArguments {
    /// The tool of the file, if a file was named.
    pub(super) fn tool(&self) -> Result<Option<Tool>, Failure> {
        let Some(file) = &self.config else {
            return match &self.tool {
                Some(_) => Err(Failure::new("--tool names one of a file: give --config FILE, too")
                    .exit(Exit::Usage)),
                None => Ok(None),
            };
        };
        let usage = |failure: Failure| failure.exit(Exit::Usage);
        let text = std::fs::read_to_string(file)
            .doing(format!("cannot read {}", file.display()))
            .map_err(usage)?;
        let configuration = Configuration::parse(file, &text, &environment::variable)
            .map_err(|faults| usage(Failure::new(faults)))?;
        for note in configuration.notes() {
            tracing::warn!("{note}");
        }
        match configuration.tool(self.tool.as_deref()) {
            Some(tool) => Ok(Some(tool.clone())),
            None => {
                let ids: Vec<&str> =
                    configuration.tools().iter().map(|tool| tool.id.as_str()).collect();
                let wanted = self.tool.clone().unwrap_or_default();
                Err(usage(
                    Failure::new(format!("{} has no tool '{wanted}'", file.display()))
                        .hint(format!("it has {}", ids.join(", "))),
                ))
            }
        }
    }
}

/// A client of the server that the flag, the file or the environment names, in this order. The file's key is for the
/// file's server: it goes nowhere else.
pub(super) fn client(
    api_url: Option<&str>,
    tool: Option<&Tool>,
    keys: Keys,
) -> Result<Client, Failure> {
    let (url, key) = match tool.map(|tool| &tool.backend) {
        Some(Backend::Sandboxes(sandboxes)) => {
            let is_the_files = api_url.is_none() || api_url == sandboxes.api_url.as_deref();
            let key = sandboxes.api_key.clone().filter(|_| is_the_files);
            (api_url.or(sandboxes.api_url.as_deref()), key)
        }
        Some(Backend::Remote(_)) | None => (api_url, None),
    };
    match (keys, key) {
        (Keys::Own, Some(key)) => connection::client_with_key(url, key),
        (Keys::Own, None) => connection::client(url),
        (Keys::Callers, _) => connection::client_for_others(url),
    }
}

/// The tools that another server has, if that is what the file says. They are nobody's but this process': whoever may use
/// them uses its keys.
pub(super) fn remote(tool: Option<&Tool>, settings: &Settings) -> Option<Tools> {
    match tool.map(|tool| &tool.backend) {
        Some(Backend::Remote(RemoteServer { url, headers })) => {
            let remote = RemoteTools::new(url, headers.clone(), settings.retry_count);
            Some(Tools::of_remote(remote, settings.clone()))
        }
        Some(Backend::Sandboxes(_)) | None => None,
    }
}

/// Lets callers without a key use these tools, and nobody with one: there is no server to say whose it is.
pub(super) fn for_all(tools: Tools) -> Arc<pitlane_mcp::Keys> {
    let open: OpenWith = Arc::new(|_key| {
        let why = "these tools are another server's and take no keys of callers";
        Box::pin(std::future::ready(Err(AccessError::Unknown(why.to_owned()))))
    });
    Arc::new(pitlane_mcp::Keys::new(open, Some(Access::new("own", tools))))
}

/// How the tools behave: as the file says, and with what the command line adds. Of two permissions the lesser counts.
pub(super) fn settings(flags: Settings, tool: Option<&Tool>) -> Settings {
    match tool {
        Some(tool) => Settings {
            permission: flags.permission.min(tool.settings.permission),
            folders: flags.folders,
            ..tool.settings.clone()
        },
        None => flags,
    }
}

#[cfg(test)]
mod tests {
    use pitlane_tools::Permission;

    use super::*;

    fn arguments(text: &str, tool: Option<&str>) -> (tempfile::TempDir, ConfigurationArguments) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tools.yaml");
        std::fs::write(&file, text).unwrap();
        (folder, ConfigurationArguments { config: Some(file), tool: tool.map(str::to_owned) })
    }

    const TWO: &str = "tools:
- {id: a, type: daytona_environment, permission: developer, timeout: 9, api_url: 'http://h/api', api_key: dtn_a}
- {id: b, type: daytona_environment, api_url: 'http://i/api', api_key: dtn_b}
";

    #[test]
    fn a_tool_is_the_first_or_the_one_that_was_named() {
        for (named, wanted) in [(None, "a"), (Some("a"), "a"), (Some("b"), "b")] {
            let (_folder, arguments) = arguments(TWO, named);
            assert_eq!(arguments.tool().unwrap().unwrap().id, wanted);
        }
        let (_folder, named) = arguments(TWO, Some("c"));
        let said = named.tool().unwrap_err().to_string();
        assert!(said.ends_with("has no tool 'c'\nhint: it has a, b"), "{said}");
        let alone = ConfigurationArguments { config: None, tool: Some("a".to_owned()) };
        assert!(alone.tool().is_err());
        assert_eq!(ConfigurationArguments::default().tool().unwrap(), None);
    }

    #[test]
    fn a_key_of_the_file_goes_to_the_files_server_alone() {
        let (_folder, arguments) = arguments(TWO, None);
        let tool = arguments.tool().unwrap();
        let own = client(None, tool.as_ref(), Keys::Own).unwrap();
        assert_eq!(own.endpoint().url(), "http://h/api");
        let same = client(Some("http://h/api"), tool.as_ref(), Keys::Own).unwrap();
        assert_eq!(same.endpoint(), own.endpoint());
        let other = client(Some("http://other/api"), tool.as_ref(), Keys::Callers).unwrap();
        assert_eq!(other.endpoint().url(), "http://other/api");
        assert_ne!(other.endpoint(), own.endpoint());
    }

    #[test]
    fn of_two_permissions_the_lesser_counts() {
        let (_folder, arguments) = arguments(TWO, None);
        let tool = arguments.tool().unwrap();
        let merged = |permission| {
            let flags = Settings { permission, ..Settings::default() };
            let merged = settings(flags, tool.as_ref());
            (merged.permission, merged.timeout.as_secs())
        };
        assert_eq!(merged(Permission::Admin), (Permission::Developer, 9));
        assert_eq!(merged(Permission::Anonymous), (Permission::Anonymous, 9));
    }
}
