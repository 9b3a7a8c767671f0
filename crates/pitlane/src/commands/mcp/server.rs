//! How a client reaches Pitlane's tools: a process that it starts, or an address; and where the key comes from.

use std::io::Read as _;
use std::path::PathBuf;

use crate::environment;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};

/// The header that carries a key.
pub(super) const KEY_HEADER: &str = "X-API-Key";

/// The variable that a key is taken from unless another is named.
const KEY_VARIABLE: &str = "PITLANE_API_KEY";

/// The longest key that is read.
const MAX_KEY_BYTES: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct ServerArguments {
    /// Address of an MCP server to use, such as http://127.0.0.1:8001/mcp [default: the client starts
    /// `pitlane mcp start`, which finds its server as other commands do]
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with_all = ["variables", "more"])]
    url: Option<String>,
    /// Variable of the client's that holds the key [default: PITLANE_API_KEY]
    #[arg(long, value_name = "NAME", value_parser = variable_name, requires = "url", conflicts_with = "key_file")]
    key_variable: Option<String>,
    /// Write the key itself, which is in this file; - is standard input
    #[arg(long, value_name = "FILE", requires = "url")]
    key_file: Option<PathBuf>,
    /// Variable of the process: NAME=VALUE, or NAME for one that the client has
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable)]
    variables: Vec<Variable>,
    /// More arguments for `pitlane mcp start`
    #[arg(last = true, value_name = "ARGUMENTS")]
    more: Vec<String>,
}

/// Where a text comes from that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// It is written down.
    Text(String),
    /// The client takes it from this variable of its own.
    Variable(String),
}

/// A variable of the process that a client starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) source: Source,
}

/// How a client reaches the tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// It starts a process and talks over its standard input and output.
    Process { command: String, arguments: Vec<String>, variables: Vec<Variable> },
    /// It asks over HTTP.
    Address { url: String, key: Source },
}

impl Server {
    /// Whether the configuration would have a secret in it.
    pub(super) fn has_secret(&self) -> bool {
        match self {
            Self::Process { variables, .. } => variables.iter().any(|variable| {
                let name = variable.name.to_ascii_uppercase();
                matches!(variable.source, Source::Text(_))
                    && ["KEY", "TOKEN", "SECRET", "PASSWORD"].iter().any(|word| name.contains(word))
            }),
            Self::Address { key, .. } => matches!(key, Source::Text(_)),
        }
    }
}

impl ServerArguments {
    /// What the arguments say. `command` is the program that a client starts.
    ///
    /// # Errors
    ///
    /// There is no key in the file of the key, or it cannot be read.
    pub(super) fn server(&self, api_url: Option<&str>, command: String) -> Result<Server, Failure> {
        if let Some(url) = &self.url {
            let key = match &self.key_file {
                Some(file) => Source::Text(read_key(file)?),
                None => {
                    let name = self.key_variable.as_deref().unwrap_or(KEY_VARIABLE);
                    Source::Variable(name.to_owned())
                }
            };
            return Ok(Server::Address { url: url.clone(), key });
        }
        let mut arguments = vec!["mcp".to_owned(), "start".to_owned()];
        if let Some(api_url) = api_url {
            arguments.extend(["--api-url".to_owned(), api_url.to_owned()]);
        }
        arguments.extend(self.more.iter().cloned());
        Ok(Server::Process { command, arguments, variables: self.variables.clone() })
    }
}

/// This program, by a path that clients find it by: those that are started from a desktop do not have a shell's PATH.
pub(super) fn this_program() -> Result<String, Failure> {
    let path = std::env::current_exe().doing("cannot tell where this program is")?;
    path.into_os_string().into_string().map_err(|path| {
        Failure::new(format!("the path of this program is not UTF-8: {}", path.display()))
    })
}

fn read_key(file: &std::path::Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_KEY_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(MAX_KEY_BYTES).read_to_string(&mut text))
    };
    read.doing(format!("cannot read the key in {}", file.display()))?;
    let key = text.trim();
    // The same rule as for every key that this program sends.
    if let Err(cause) = pitlane_client::Key::new(key) {
        let failure =
            Failure::from(anyhow::Error::new(cause)).doing(format!("no key in {}", file.display()));
        return Err(failure.exit(Exit::Usage));
    }
    Ok(key.to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|cause| format!("{cause}"))?;
    let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if !has_scheme || authority.is_empty() {
        return Err("it begins with http:// or https:// and a host".to_owned());
    }
    if authority.contains('@') {
        return Err("it has a password in it: keys have options of their own".to_owned());
    }
    if matches!(uri.path(), "" | "/") {
        return Err(format!("MCP is spoken at a path of the server: http://{authority}/mcp"));
    }
    Ok(text.to_owned())
}

fn variable_name(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = text.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if begins && text.chars().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("a variable's name has letters, digits and _".to_owned())
    }
}

fn variable(text: &str) -> Result<Variable, String> {
    let (name, source) = match text.split_once('=') {
        Some((name, value)) => (name, Source::Text(value.to_owned())),
        None => (text, Source::Variable(text.to_owned())),
    };
    Ok(Variable { name: variable_name(name)?, source })
}

/// The user's search path and home folder, without which many programs do not start.
pub(super) fn usual_variables() -> Vec<Variable> {
    let known = |name: &str| {
        let value = environment::variable(name)?;
        Some(Variable { name: name.to_owned(), source: Source::Text(value) })
    };
    ["HOME", "PATH"].into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_server_and_a_path_and_no_password() {
        for good in ["http://127.0.0.1:8001/mcp", "https://pitlane.example.org/mcp"] {
            assert_eq!(url(good), Ok(good.to_owned()));
        }
        for bad in [
            "127.0.0.1:8001/mcp",
            "http://h:8001",
            "http://h/",
            "ftp://h/mcp",
            "http://u:p@h/mcp",
            "/mcp",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_is_given_or_taken_from_the_client() {
        let of = |name: &str, source| Ok(Variable { name: name.to_owned(), source });
        assert_eq!(variable("A=b=c"), of("A", Source::Text("b=c".to_owned())));
        assert_eq!(variable("A"), of("A", Source::Variable("A".to_owned())));
        assert!(variable("=b").is_err() && variable("1A=b").is_err() && variable("A-B").is_err());
    }
}
