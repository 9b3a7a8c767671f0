//! `pitlane run`: a program in a sandbox of its own, which is deleted whatever happens.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use pitlane_client::{Client, CodeRunRequest, ExecuteRequest, StreamRequest};
use pitlane_wire::control::CreateSandbox;

use super::execution::{Interruption, follow};
use super::wait;
use crate::cli::pair;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output::{Format, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program's source; - reads it from standard input
    file: PathBuf,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// Language of the program [default: by the file's ending, else python]
    #[arg(long, short)]
    language: Option<Language>,
    /// Snapshot to start from [default: the server's]
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// Variable that the program gets; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Give the sandbox no network
    #[arg(long)]
    no_network: bool,
    /// Seconds after which the program is ended
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Python,
    Javascript,
    Typescript,
    Shell,
}

impl Language {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "py" => Some(Self::Python),
            "js" | "mjs" | "cjs" => Some(Self::Javascript),
            "ts" | "mts" | "cts" => Some(Self::Typescript),
            "sh" | "bash" => Some(Self::Shell),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Shell => "shell",
        }
    }
}

/// Creates a sandbox, runs the program, passes its output and code through, deletes the sandbox.
pub(crate) fn run(
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    let source = read(&arguments.file)?;
    let wish = CreateSandbox {
        snapshot: arguments.snapshot.clone(),
        network_block_all: arguments.no_network.then_some(true),
        labels: Some([("pitlane-run".to_owned(), "true".to_owned())].into()),
        // Whatever becomes of this process, a sandbox that stops is gone.
        auto_delete_interval: Some(0),
        ..CreateSandbox::default()
    };
    let run = arguments.into_run(source)?;
    wait(async {
        let mut interruption = Interruption::watch()?;
        // Not given up half-way: a sandbox that is being created could not be deleted.
        let sandbox = client.create_sandbox(&wish).await?;
        let ended = tokio::select! {
            ended = follow(client, &sandbox, &run, format) => ended,
            failure = interruption.wait() => Err(failure),
        };
        if let Err(left) = client.delete_sandbox(&sandbox.core.id).await {
            let id = &sandbox.core.id;
            say(&Failure::from(left)
                .hint(format!("`pitlane sandbox rm {id}` deletes the sandbox"))
                .to_string());
        }
        ended
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut source = String::new();
        std::io::stdin().read_to_string(&mut source).map(|_| source)
    } else {
        std::fs::read_to_string(file)
    };
    read.doing(format!("cannot read {}", file.display()))
        .map_err(|failure| failure.exit(Exit::Usage))
}

impl Arguments {
    fn into_run(self, source: String) -> Result<StreamRequest, Failure> {
        let language =
            self.language.or_else(|| Language::of(&self.file)).unwrap_or(Language::Python);
        let envs: BTreeMap<String, String> = self.env.into_iter().collect();
        let (envs, timeout) = (Some(envs), self.timeout.map(i64::from));
        if language != Language::Shell {
            let language = language.as_str().to_owned();
            let argv = Some(self.arguments);
            return Ok(StreamRequest::Code(CodeRunRequest {
                code: source,
                language,
                argv,
                envs,
                timeout,
            }));
        }
        if !self.arguments.is_empty() {
            return Err(Failure::new("a shell script takes no arguments here")
                .hint("give them as variables: --env NAME=VALUE")
                .exit(Exit::Usage));
        }
        Ok(StreamRequest::Command(ExecuteRequest { command: source, cwd: None, envs, timeout }))
    }
}
