//! Commands of which a shell would do nothing but start a program: that is started at once, as the shell would.
//!
//! Starting the shell takes longer than everything else about a short command. What cannot be known to be the same is
//! left to the shell, and so is what cannot be executed: the shell has the better words for it.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;

use pitlane_daemon::input::plain_words;
use rustix::fs::{FileType, Mode, stat};

use super::launch::{Launch, MAX_ARGUMENT, SHELLS, Surroundings};

/// Variables with a meaning for a shell that starts, or that it changes.
const OF_THE_SHELL: [&str; 10] = [
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "POSIXLY_CORRECT",
    "BASH_COMPAT",
];

impl Surroundings {
    /// The program of a command that needs no shell, with `shell` for what cannot be executed.
    pub(super) fn without_shell(&self, command: &str, shell: Launch) -> Launch {
        match self.program(command) {
            Some(program) => {
                let Ok(input) = shell.input.try_clone() else { return shell };
                let Program { path, name, arguments, environment } = program;
                let launch = Launch {
                    environment,
                    name: Some(name),
                    ..self.with_input(vec![path], arguments, input)
                };
                Launch { otherwise: Some(Box::new(shell)), ..launch }
            }
            None => shell,
        }
    }

    fn program(&self, command: &str) -> Option<Program> {
        if command.len() > MAX_ARGUMENT || !bash_is_the_shell() {
            return None;
        }
        let mut words = plain_words(command)?.into_iter().map(CString::new);
        let name = words.next()?.ok()?;
        let arguments = words.collect::<Result<_, _>>().ok()?;
        let variables = self.environment.variables();
        if variables.keys().any(|name| is_of_the_shell(name)) {
            return None;
        }
        let path = find(&name, variables.get("PATH")?)?;
        let folder = self.real_folder()?;
        let mut environment = self.environment.texts();
        for (name, value) in [("PWD", folder.as_bytes()), ("SHLVL", b"0"), ("_", path.as_bytes())] {
            let text = [name.as_bytes(), b"=", value].concat();
            environment.push(CString::new(text).ok()?);
        }
        Some(Program { path, name, arguments, environment })
    }

    /// The folder without symbolic links, as a shell tells it. In `/proc` it depends on who looks.
    fn real_folder(&self) -> Option<std::ffi::OsString> {
        let folder = std::ffi::OsStr::from_bytes(self.folder.to_bytes());
        let real = std::fs::canonicalize(folder).ok()?;
        let is_certain = !real.starts_with("/proc") && !folder.as_bytes().starts_with(b"/proc");
        is_certain.then(|| real.into_os_string())
    }
}

struct Program {
    path: CString,
    name: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// Others read files of their own at every start.
fn bash_is_the_shell() -> bool {
    let shell = SHELLS.iter().find(|shell| stat(**shell).is_ok());
    shell.is_some_and(|shell| shell.to_bytes().ends_with(b"/bash"))
}

fn is_of_the_shell(variable: &str) -> bool {
    let is_identifier = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !is_identifier || variable.starts_with("BASH_FUNC_") || OF_THE_SHELL.contains(&variable)
}

/// Where a shell would find a program. It may be that the user may not execute it.
fn find(name: &CStr, path: &str) -> Option<CString> {
    let name = name.to_str().ok()?;
    if name.contains('/') {
        return name.starts_with('/').then(|| CString::new(name).ok()).flatten();
    }
    for folder in path.split(':') {
        if !folder.starts_with('/') {
            // The work folder, perhaps.
            return None;
        }
        let path = CString::new(format!("{folder}/{name}")).ok()?;
        if stat(&path).is_ok_and(|found| is_program(&found)) {
            return Some(path);
        }
    }
    None
}

fn is_program(found: &rustix::fs::Stat) -> bool {
    let anybody = Mode::XUSR | Mode::XGRP | Mode::XOTH;
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && Mode::from_raw_mode(found.st_mode).intersects(anybody)
}
