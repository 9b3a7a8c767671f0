//! The clients: where each keeps its servers, and how it writes one.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::super::entry::{EditError, Entry, Field, Question, Wanted};
use super::super::server::{KEY_HEADER, Server, Source, Variable};
use super::json::{self, Dialect};
use super::place::Place;
use super::toml;
use crate::environment;
use crate::exit::Exit;
use crate::failure::Failure;

/// An MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Client {
    /// Claude Code
    Claude,
    /// Cursor
    Cursor,
    /// Visual Studio Code
    Vscode,
    /// Windsurf
    Windsurf,
    /// Codex
    Codex,
    /// Gemini CLI
    Gemini,
    /// opencode
    Opencode,
    /// Zed
    Zed,
}

/// Folders of a user's settings.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) home: PathBuf,
    /// `~/.config`, unless `XDG_CONFIG_HOME` names another.
    pub(super) settings: PathBuf,
    /// `CLAUDE_CONFIG_DIR`.
    pub(super) claude: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub(super) codex: Option<PathBuf>,
    /// `GEMINI_CLI_HOME`.
    pub(super) gemini: Option<PathBuf>,
}

impl Folders {
    /// The folders of the user who runs this.
    pub(super) fn of_user() -> Result<Self, Failure> {
        let named = |name| environment::variable(name).map(PathBuf::from);
        let unknown = || Failure::new("there is no home folder: HOME is not set");
        Ok(Self {
            home: named("HOME").ok_or_else(unknown)?,
            settings: environment::settings_folder().ok_or_else(unknown)?,
            claude: named("CLAUDE_CONFIG_DIR"),
            codex: named("CODEX_HOME"),
            gemini: named("GEMINI_CLI_HOME"),
        })
    }
}

/// Why a configuration cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("{client} cannot take {what} from a variable")]
    NoVariables { client: Client, what: String },
    #[error("{client} gives a process the variables of its own under their own names only")]
    NoRenaming { client: Client },
}

impl Refusal {
    /// The refusal with what to do about it.
    pub(super) fn into_failure(self) -> Failure {
        let hint = match &self {
            Self::Edit(_) => None,
            Self::NoVariables { .. } => {
                Some("give the value: --key-file FILE, or --env NAME=VALUE")
            }
            Self::NoRenaming { .. } => Some("--key-variable takes any name with --url"),
        };
        let failure = Failure::from(anyhow::Error::new(self)).exit(Exit::Usage);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure.exit(Exit::Failed),
        }
    }
}

/// Keys that only a process' entry has.
const OF_PROCESSES: &[&str] =
    &["command", "args", "env", "environment", "env_vars", "envFile", "cwd"];
/// Keys that only an address' entry has.
const OF_ADDRESSES: &[&str] = &[
    "url",
    "httpUrl",
    "serverUrl",
    "headers",
    "http_headers",
    "env_http_headers",
    "bearer_token_env_var",
];

impl Client {
    /// The text of a file with the server in it; of an empty one, if there is none yet.
    pub(super) fn edit(self, text: &str, name: &str, server: &Server) -> Result<String, Refusal> {
        let entry = self.entry(server)?;
        let foreign = match server {
            Server::Process { .. } => OF_ADDRESSES,
            Server::Address { .. } => OF_PROCESSES,
        };
        let question = self.question(server);
        let wanted = Wanted { section: self.section(), name, entry: &entry, foreign, question };
        Ok(match self.dialect() {
            Some(dialect) => json::edit(text, &wanted, dialect)?,
            None => toml::edit(text, &wanted)?,
        })
    }

    /// The key that all servers are under.
    const fn section(self) -> &'static str {
        match self {
            Self::Claude | Self::Cursor | Self::Windsurf | Self::Gemini => "mcpServers",
            Self::Vscode => "servers",
            Self::Codex => "mcp_servers",
            Self::Opencode => "mcp",
            Self::Zed => "context_servers",
        }
    }

    /// How its file is written; `None` is TOML. Gemini CLI and Claude Code refuse what is not listed here; where it is not
    /// known what a client reads, whatever is there stays.
    const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Claude => Some(Dialect::Strict),
            Self::Gemini => Some(Dialect::Comments),
            Self::Cursor | Self::Vscode | Self::Windsurf | Self::Opencode | Self::Zed => {
                Some(Dialect::Lenient)
            }
            Self::Codex => None,
        }
    }

    /// The user's own configuration.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the project's, beside it, is not there for each client"
    )]
    pub(super) fn users(self, folders: &Folders) -> Result<Place, Failure> {
        let Folders { home, settings, .. } = folders;
        let in_home = |file: &str| Place { base: home.clone(), file: home.join(file) };
        let in_settings = |file: &str| Place { base: settings.clone(), file: settings.join(file) };
        let in_folder = |folder: &Option<PathBuf>, file: &str, otherwise: &str| match folder {
            Some(folder) => Place { base: folder.clone(), file: folder.join(file) },
            None => in_home(otherwise),
        };
        Ok(match self {
            Self::Claude => in_folder(&folders.claude, ".claude.json", ".claude.json"),
            Self::Cursor => in_home(".cursor/mcp.json"),
            Self::Vscode => in_settings("Code/User/mcp.json"),
            Self::Windsurf => in_home(".codeium/windsurf/mcp_config.json"),
            Self::Codex => in_folder(&folders.codex, "config.toml", ".codex/config.toml"),
            Self::Gemini => {
                in_folder(&folders.gemini, ".gemini/settings.json", ".gemini/settings.json")
            }
            Self::Opencode => {
                let folder = settings.join("opencode");
                Place {
                    base: settings.clone(),
                    file: first(&folder, &["opencode.json", "opencode.jsonc", "config.json"]),
                }
            }
            Self::Zed => in_settings("zed/settings.json"),
        })
    }

    /// The configuration of the project in a folder.
    pub(super) fn projects(self, folder: &Path) -> Result<Place, Failure> {
        let file = match self {
            Self::Claude => folder.join(".mcp.json"),
            Self::Cursor => folder.join(".cursor/mcp.json"),
            Self::Vscode => folder.join(".vscode/mcp.json"),
            Self::Codex => folder.join(".codex/config.toml"),
            Self::Gemini => folder.join(".gemini/settings.json"),
            Self::Opencode => first(folder, &["opencode.json", "opencode.jsonc"]),
            Self::Zed => folder.join(".zed/settings.json"),
            Self::Windsurf => {
                return Err(Failure::new("windsurf has no configuration of a project")
                    .hint("leave --scope out: the user's is changed")
                    .exit(Exit::Usage));
            }
        };
        Ok(Place { base: folder.to_owned(), file })
    }

    /// What is left to do.
    pub(super) const fn next(self, is_project: bool) -> &'static str {
        match (self, is_project) {
            (Self::Claude, true) => {
                "Claude Code asks whether to trust it when it starts in this folder"
            }
            (Self::Claude, false) => {
                "`claude mcp list` shows it; one that runs takes it at its next start"
            }
            (Self::Cursor, _) => "Cursor shows it in its settings, under MCP",
            (Self::Vscode, _) => {
                "VS Code shows it with the command MCP: List Servers, which also starts it"
            }
            (Self::Windsurf, _) => "Windsurf takes it when Cascade's MCP servers are refreshed",
            (Self::Codex, true) => {
                "Codex takes it in folders it trusts; `codex mcp list` shows it there"
            }
            (Self::Codex, false) => {
                "`codex mcp list` shows it; one that runs takes it at its next start"
            }
            (Self::Gemini, _) => {
                "Gemini CLI takes it in folders it trusts; `gemini mcp list` shows it there"
            }
            (Self::Opencode, _) => {
                "`opencode mcp list` shows it; one that runs takes it at its next start"
            }
            (Self::Zed, _) => "Zed shows it in the agent panel's settings",
        }
    }

    /// VS Code keeps secrets itself and asks for them once.
    fn question(self, server: &Server) -> Option<Question> {
        match (self, server) {
            (Self::Vscode, Server::Address { key: Source::Variable(name), .. }) => Some(Question {
                id: question_id(name),
                text: "Key of the Pitlane server".to_owned(),
            }),
            _ => None,
        }
    }

    /// The server as this client writes one.
    fn entry(self, server: &Server) -> Result<Entry, Refusal> {
        match server {
            Server::Process { command, arguments, variables } => {
                self.process(command, arguments, variables)
            }
            Server::Address { url, key } => self.address(url, key),
        }
    }

    fn process(
        self,
        command: &str,
        arguments: &[String],
        variables: &[Variable],
    ) -> Result<Entry, Refusal> {
        let text = |text: &str| Field::Text(text.to_owned());
        if self == Self::Codex {
            let mut entry =
                vec![("command", text(command)), ("args", Field::List(arguments.to_vec()))];
            entry.extend(self.apart(variables)?);
            return Ok(entry);
        }
        let values: Result<Vec<_>, Refusal> = variables
            .iter()
            .map(|Variable { name, source }| Ok((name.clone(), self.text(source, name)?)))
            .collect();
        let variables = Field::Map(values?);
        if self == Self::Opencode {
            let line = std::iter::once(command.to_owned()).chain(arguments.iter().cloned());
            return Ok(vec![
                ("type", text("local")),
                ("command", Field::List(line.collect())),
                ("environment", variables),
                ("enabled", Field::Switch(true)),
            ]);
        }
        let mut entry = vec![
            ("command", text(command)),
            ("args", Field::List(arguments.to_vec())),
            ("env", variables),
        ];
        if matches!(self, Self::Claude | Self::Vscode) {
            entry.insert(0, ("type", text("stdio")));
        }
        Ok(entry)
    }

    /// Codex has one key for variables that are written down, and one for names of its own.
    fn apart(self, variables: &[Variable]) -> Result<Entry, Refusal> {
        let (mut given, mut named) = (Vec::new(), Vec::new());
        for Variable { name, source } in variables {
            match source {
                Source::Text(text) => given.push((name.clone(), text.clone())),
                Source::Variable(from) if from == name => named.push(name.clone()),
                Source::Variable(_) => return Err(Refusal::NoRenaming { client: self }),
            }
        }
        let mut entry = vec![("env", Field::Map(given))];
        if !named.is_empty() {
            entry.push(("env_vars", Field::List(named)));
        }
        Ok(entry)
    }

    fn address(self, url: &str, key: &Source) -> Result<Entry, Refusal> {
        let text = |text: &str| Field::Text(text.to_owned());
        let header = |value: String| Field::Map(vec![(KEY_HEADER.to_owned(), value)]);
        if self == Self::Codex {
            return Ok(match key {
                Source::Text(key) => {
                    vec![("url", text(url)), ("http_headers", header(key.clone()))]
                }
                Source::Variable(name) => {
                    vec![("url", text(url)), ("env_http_headers", header(name.clone()))]
                }
            });
        }
        let headers = match (self, key) {
            (Self::Vscode, Source::Variable(name)) => {
                header(format!("${{input:{}}}", question_id(name)))
            }
            _ => header(self.text(key, "the key")?),
        };
        Ok(match self {
            Self::Claude | Self::Vscode => {
                vec![("type", text("http")), ("url", text(url)), ("headers", headers)]
            }
            // As its own `gemini mcp add` writes it; a `url` alone would be an older transport.
            Self::Gemini => vec![("url", text(url)), ("type", text("http")), ("headers", headers)],
            Self::Windsurf => vec![("serverUrl", text(url)), ("headers", headers)],
            Self::Opencode => vec![
                ("type", text("remote")),
                ("url", text(url)),
                ("headers", headers),
                ("enabled", Field::Switch(true)),
            ],
            Self::Cursor | Self::Zed | Self::Codex => {
                vec![("url", text(url)), ("headers", headers)]
            }
        })
    }

    /// A value as its file has it: itself, or the variable it comes from.
    fn text(self, source: &Source, what: &str) -> Result<String, Refusal> {
        let name = match source {
            Source::Text(text) => return Ok(text.clone()),
            Source::Variable(name) => name,
        };
        Ok(match self {
            Self::Claude | Self::Gemini => format!("${{{name}}}"),
            Self::Cursor | Self::Vscode | Self::Windsurf => format!("${{env:{name}}}"),
            Self::Opencode => format!("{{env:{name}}}"),
            Self::Codex | Self::Zed => {
                return Err(Refusal::NoVariables { client: self, what: what.to_owned() });
            }
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claude => "claude",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Windsurf => "windsurf",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Zed => "zed",
        })
    }
}

fn question_id(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

/// The first of these files that is there, else the first.
fn first(folder: &Path, names: &[&str]) -> PathBuf {
    let found = names.iter().find(|name| folder.join(name).exists());
    folder.join(found.or(names.first()).copied().unwrap_or_default())
}
