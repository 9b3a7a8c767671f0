//! What is to be started: a program, its input, its variables, its folder.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use pitlane_sys::{Identity, sealed_memory_file};
use rustix::fs::{Mode, OFlags};

use crate::environment::Environment;
use crate::files::TemporaryFile;
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// The shells that may read a command; the first that the image has does. Users expect the features of the better ones.
pub(crate) const SHELLS: [&std::ffi::CStr; 6] =
    [c"/usr/bin/zsh", c"/bin/zsh", c"/usr/bin/bash", c"/bin/bash", c"/usr/bin/sh", c"/bin/sh"];

/// The longest command that is given as an argument. The kernel takes no argument of more than 128 KiB.
pub(super) const MAX_ARGUMENT: usize = 100 << 10;

/// A program that can be started.
#[derive(Debug)]
pub(crate) struct Launch {
    /// Paths, of which the first that exists is executed.
    pub(crate) candidates: Vec<CString>,
    /// What it is told it is called; `None` is its path.
    pub(crate) name: Option<CString>,
    /// Arguments after the program's own name.
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) folder: CString,
    /// Its standard input: nothing, or a file, so that text of any size needs nobody who writes it, and the end follows
    /// the text.
    pub(crate) input: OwnedFd,
    /// What it finds as descriptors 3 and up.
    pub(crate) spare: Vec<OwnedFd>,
    /// Whether its input is a terminal that becomes the one of its session.
    pub(crate) has_terminal: bool,
    /// Whether this is `python3 -u -`, whose place a waiting interpreter may take.
    pub(crate) is_python: bool,
    /// Where Python writes what it draws.
    pub(crate) charts: Option<OwnedFd>,
    /// A file that the program reads, removed with this value.
    pub(crate) keeps: Option<TemporaryFile>,
    /// Whom it runs as, if not as the sandbox's user.
    pub(crate) user: Option<Identity>,
    /// What is started if this cannot be executed.
    pub(crate) otherwise: Option<Box<Self>>,
}

/// Where and with what variables a request wants its program.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) environment: Environment,
    pub(super) folder: CString,
}

impl Surroundings {
    /// Takes the request's wishes over the sandbox's defaults.
    pub(crate) fn new(
        toolbox: &Toolbox,
        cwd: Option<&str>,
        envs: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, Refusal> {
        let environment = toolbox.environment().with(envs);
        let environment = environment.map_err(|error| Refusal::bad_request(error.to_string()))?;
        let folder = toolbox.absolute(cwd.unwrap_or_default()).into_os_string().into_vec();
        let folder = CString::new(folder)
            .map_err(|_contains_nul| Refusal::bad_request("cwd contains a NUL"))?;
        Ok(Self { environment, folder })
    }

    /// A folder from the root on, and these variables and no others.
    pub(crate) fn within(
        toolbox: &Toolbox,
        folder: &str,
        environment: Environment,
    ) -> Result<Self, Refusal> {
        let folder = toolbox.absolute(folder).into_os_string().into_vec();
        let folder = CString::new(folder)
            .map_err(|_contains_nul| Refusal::bad_request("a folder contains a NUL"))?;
        Ok(Self { environment, folder })
    }

    /// What runs `command` as a shell would: its program itself where that is all a shell would start, else a shell.
    pub(crate) fn command(&self, command: &str) -> Result<Launch, Refusal> {
        Ok(self.without_shell(command, self.shell(command)?))
    }

    /// A shell that runs `command`, which may be of any length.
    ///
    /// As an argument, a simple command takes the shell's place instead of being its child, and programs that read
    /// their input find none rather than the rest of the command. What cannot be an argument is the shell's input.
    fn shell(&self, command: &str) -> Result<Launch, Refusal> {
        let shells = SHELLS.map(CString::from).into();
        // Some shells would take these for options.
        let is_argument = command.len() <= MAX_ARGUMENT && !command.starts_with(['-', '+']);
        match CString::new(command) {
            Ok(argument) if is_argument => {
                Ok(self.with_input(shells, vec![c"-c".to_owned(), argument], nothing()?))
            }
            _ => self.launch(shells, Vec::new(), command.as_bytes()),
        }
    }

    /// A program that reads `input`.
    pub(crate) fn launch(
        &self,
        candidates: Vec<CString>,
        arguments: Vec<CString>,
        input: &[u8],
    ) -> Result<Launch, Refusal> {
        let input = sealed_memory_file("input", input)
            .map_err(|error| Refusal::internal(format!("cannot keep the input: {error}")))?;
        Ok(self.with_input(candidates, arguments, input))
    }

    /// A Python that reads `program` as its source, and has these arguments after its own name.
    pub(crate) fn python(
        &self,
        arguments: impl IntoIterator<Item = CString>,
        program: &[u8],
    ) -> Result<Launch, Refusal> {
        let mut candidates = self.environment.candidates("python3");
        candidates.extend(self.environment.candidates("python"));
        let flags = [c"-u".to_owned(), c"-".to_owned()];
        let arguments = flags.into_iter().chain(arguments).collect();
        Ok(Launch { is_python: true, ..self.launch(candidates, arguments, program)? })
    }

    pub(super) fn with_input(
        &self,
        candidates: Vec<CString>,
        arguments: Vec<CString>,
        input: OwnedFd,
    ) -> Launch {
        Launch {
            candidates,
            name: None,
            arguments,
            environment: self.environment.texts(),
            folder: self.folder.clone(),
            input,
            spare: Vec::new(),
            has_terminal: false,
            is_python: false,
            charts: None,
            keeps: None,
            user: None,
            otherwise: None,
        }
    }
}

/// An input without contents. The device is the sandbox's, whose root may have put anything in its place.
fn nothing() -> Result<OwnedFd, Refusal> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(c"/dev/null", flags, Mode::empty())
        .map_err(|errno| Refusal::internal(format!("cannot open /dev/null: {errno}")))
}
