//! One stage: what its instructions say, in their order.

use std::collections::BTreeMap;

use pitlane_driver::PreparedImage;
use pitlane_model::ImageConfig;

use super::{Built, Course, machine};
use crate::dockerfile::{Action, Command, Instruction};
use crate::key::Key;
use crate::workbench::Workbench;
use crate::{BuildError, DockerfileError};

/// Where programs are looked for if an image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Proxies, which every build may be given without saying so, and which decide nothing about what a step makes.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// A stage that is being built.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) course: &'a Course<'a>,
    pub(super) number: usize,
    /// The image of its files as they are now.
    pub(super) image: PreparedImage,
    pub(super) key: Key,
    /// What the image is going to say of itself.
    pub(super) config: ImageConfig,
    pub(super) shell: Vec<String>,
    /// Arguments that this stage has asked for.
    pub(super) arguments: BTreeMap<String, String>,
    /// Folders that are made before the next step, and whom they belong to.
    pub(super) folders: Vec<(String, String)>,
    pub(super) workbench: Option<Workbench>,
    /// Whether the stage itself has said its command.
    has_command: bool,
}

impl<'a> Stage<'a> {
    /// Builds the stage at a position; those before it that it needs are finished.
    pub(super) async fn build(course: &'a Course<'a>, number: usize) -> Result<Built, BuildError> {
        let Some(described) = course.dockerfile.stages.get(number) else {
            return Err(DockerfileError::new(1, "there is no such stage").into());
        };
        let line = described.line;
        course.log.line(format_args!("{} {}", course.place(number, 0), described.text));
        if let Some(platform) = &described.from.platform {
            let globals = |name: &str| course.globals.get(name).cloned();
            check_platform(&course.expand(platform, &globals, line)?)
                .map_err(|reason| DockerfileError::new(line, reason))?;
        }
        let base = course.base(number)?;
        let is_stage = course.dockerfile.stage_named_before(&base, number).is_some();
        let Built { image, key, shell } = match is_stage {
            true => course.image_named(&base, number, line).await?,
            false => course.image(&base, line).await?,
        };
        let mut stage = Self {
            course,
            number,
            config: image.config.clone(),
            image,
            key,
            shell,
            arguments: BTreeMap::new(),
            folders: Vec::new(),
            workbench: None,
            has_command: false,
        };
        for (index, instruction) in described.instructions.iter().enumerate() {
            let step = index.saturating_add(1);
            course.log.line(format_args!("{} {}", course.place(number, step), instruction.text));
            stage.follow(instruction).await?;
        }
        stage.make_folders().await?;
        let image = PreparedImage { config: stage.config, ..stage.image };
        Ok(Built { image, key: stage.key, shell: stage.shell })
    }

    async fn follow(&mut self, instruction: &Instruction) -> Result<(), BuildError> {
        let line = instruction.line;
        match &instruction.action {
            Action::Run(run) => self.run(instruction, run).await,
            Action::Copy(copy) => self.copy(instruction, copy).await,
            Action::WorkDir(folder) => {
                let folder = self.expanded(folder, line)?;
                let folder = self.absolute(&folder);
                self.config.work_dir = Some(folder.clone());
                self.check_config().map_err(|reason| DockerfileError::new(line, reason))?;
                self.folders.push((folder, self.user()));
                Ok(())
            }
            action => {
                self.describe(action).map_err(|reason| DockerfileError::new(line, reason).into())
            }
        }
    }

    /// What only changes words about the image.
    fn describe(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Arg(pairs) => {
                for (name, otherwise) in pairs {
                    self.declare(name, otherwise.as_deref())?;
                }
            }
            Action::Env(pairs) => {
                let pairs = self.pairs(pairs)?;
                if let Some((name, _)) =
                    pairs.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0']))
                {
                    return Err(format!("{name:?} is no name of a variable"));
                }
                self.config.environment.extend(pairs);
            }
            Action::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                self.config.labels.extend(pairs);
            }
            Action::User(user) => {
                let user = self.word(user)?;
                if user.is_empty() || user.contains(['\0', ' ']) {
                    return Err(format!("{user:?} is no user: NAME, UID, NAME:GROUP or UID:GID"));
                }
                self.config.user = Some(user);
            }
            Action::Entrypoint(command) => {
                self.config.entrypoint = self.program(command);
                // What the image before said goes with the program that it was for.
                if !self.has_command {
                    self.config.command.clear();
                }
            }
            Action::Cmd(command) => {
                self.config.command = self.program(command);
                self.has_command = true;
            }
            Action::Expose(ports) => {
                let variables = |name: &str| self.value(name);
                let ports = self.course.expander.words(&ports.join(" "), &variables)?;
                let ports: Result<Vec<_>, _> = ports.iter().map(|port| check_port(port)).collect();
                self.config.ports.extend(ports?);
            }
            Action::Shell(words) => self.shell.clone_from(words),
            Action::Noted(note) => self.course.log.line(format_args!("  note: {note}")),
            Action::From(_) | Action::Run(_) | Action::Copy(_) | Action::WorkDir(_) => {}
        }
        self.check_config()
    }

    /// Each stage after this one, and each command, has all that the image says once more.
    fn check_config(&self) -> Result<(), String> {
        match self.config.excess() {
            Some(excess) => Err(format!("the image would say too much: {excess}")),
            None => Ok(()),
        }
    }

    fn word(&self, text: &str) -> Result<String, String> {
        self.course.expander.word(text, &|name: &str| self.value(name))
    }

    /// Names and values, all of which see what was before their instruction.
    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        pairs.iter().map(|(name, value)| Ok((self.word(name)?, self.word(value)?))).collect()
    }

    /// A program as an image names it.
    fn program(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) if text.is_empty() => Vec::new(),
            Command::Shell(text) => self.shell.iter().chain([text]).cloned().collect(),
        }
    }

    /// Asks for an argument.
    fn declare(&mut self, name: &str, otherwise: Option<&str>) -> Result<(), String> {
        let given = self.course.request.arguments.get(name).cloned();
        let value = match (given, otherwise) {
            (Some(given), _) => Some(given),
            (None, Some(word)) => Some(self.word(word)?),
            (None, None) => self.course.globals.get(name).cloned(),
        };
        match value {
            Some(value) => drop(self.arguments.insert(name.to_owned(), value)),
            None => drop(self.arguments.remove(name)),
        }
        Ok(())
    }

    /// What a variable is worth here: what the image says before what was given.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let said = self.config.environment.get(name).or_else(|| self.arguments.get(name));
        let given = said.cloned().or_else(|| self.proxy(name));
        given.or_else(|| (name == "PATH").then(|| PATH.to_owned()))
    }

    fn proxy(&self, name: &str) -> Option<String> {
        PROXIES.contains(&name).then(|| self.course.request.arguments.get(name).cloned()).flatten()
    }

    pub(super) fn expanded(&self, word: &str, line: usize) -> Result<String, DockerfileError> {
        self.course.expand(word, &|name: &str| self.value(name), line)
    }

    /// The variables of a command that decide what it makes.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let mut all = self.arguments.clone();
        for name in PROXIES {
            all.remove(name);
        }
        all.extend(self.config.environment.clone());
        all.entry(String::from("PATH")).or_insert_with(|| PATH.to_owned());
        all
    }

    /// All variables of a command: also those that only say where things are had from.
    pub(super) fn whole_environment(&self) -> BTreeMap<String, String> {
        let mut all = self.course.settings.mirrors.variables.clone();
        all.extend(PROXIES.iter().filter_map(|name| Some(((*name).to_owned(), self.proxy(name)?))));
        all.extend(self.environment());
        all
    }

    /// Whom commands run as.
    pub(super) fn user(&self) -> String {
        self.config.user.clone().unwrap_or_else(|| String::from("0"))
    }

    /// Where commands start.
    pub(super) fn work_dir(&self) -> &str {
        self.config.work_dir.as_deref().unwrap_or("/")
    }

    /// A path from the root on, without dots.
    pub(super) fn absolute(&self, path: &str) -> String {
        let all = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", self.work_dir()),
        };
        format!("/{}", crate::context::cleaned(&all, false))
    }
}

impl Course<'_> {
    /// Which step of which stage it is, for the log.
    pub(super) fn place(&self, number: usize, step: usize) -> String {
        let stages = &self.dockerfile.stages;
        let of = stages.get(number).map_or(0, |stage| stage.instructions.len());
        match (stages.len(), stages.get(number).and_then(|stage| stage.from.name.as_ref())) {
            (..=1, _) => format!("[{step}/{of}]"),
            (_, Some(name)) => format!("[{name} {step}/{of}]"),
            (_, None) => format!("[stage {number} {step}/{of}]"),
        }
    }
}

fn check_platform(platform: &str) -> Result<(), String> {
    let own = format!("linux/{}", machine());
    let fits = platform.is_empty() || platform == own || platform.starts_with(&format!("{own}/"));
    match fits {
        true => Ok(()),
        false => Err(format!("--platform={platform}: this machine builds for {own} alone")),
    }
}

fn check_port(text: &str) -> Result<String, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let is_known = matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp");
    match is_port(first) && is_port(last) && is_known {
        true => Ok(format!("{ports}/{}", protocol.to_ascii_lowercase())),
        false => Err(format!("{text:?} is no port: PORT, PORT/tcp or PORT/udp")),
    }
}
