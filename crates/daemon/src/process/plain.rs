//! Commands of which a shell would do nothing but start a program, or do itself what a program does as well: that is
//! started at once, as the shell would.
//!
//! Starting the shell takes longer than everything else about a short command. What cannot be known to be the same is
//! left to the shell, and so is what cannot be executed: the shell has the better words for it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

use pitlane_daemon::input::{Place, PlainCommand, plain_command};
use rustix::fs::{FileType, Mode, stat};

use super::launch::{Launch, MAX_ARGUMENT, SHELLS, Surroundings};

/// Where the system's own programs are.
const OF_THE_SYSTEM: &str = "/usr/bin:/bin";

/// Variables with a meaning for a shell that starts, or that it changes; so are all that begin with `BASH`.
const OF_THE_SHELL: [&str; 22] = [
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "ENV",
    "SHELLOPTS",
    "POSIXLY_CORRECT",
    "POSIX_PEDANTIC",
    "IFS",
    "PS1",
    "PS2",
    "PS4",
    "OPTIND",
    "OPTERR",
    "LINENO",
    "RANDOM",
    "SRANDOM",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "PPID",
    "HISTCMD",
    "COMP_WORDBREAKS",
];

impl Surroundings {
    /// The program of a command that needs no shell, with `shell` for what cannot be executed.
    pub(super) fn without_shell(&self, command: &str, shell: Launch) -> Launch {
        match self.program(command).filter(|_| bash_is_the_shell()) {
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

    /// What bash would do no more than.
    fn program(&self, command: &str) -> Option<Program> {
        if command.len() > MAX_ARGUMENT {
            return None;
        }
        let PlainCommand { name, arguments, place } = plain_command(command)?;
        let variables = self.environment.variables();
        if variables.iter().any(|(name, value)| is_of_the_shell(name, value)) {
            return None;
        }
        let path = match place {
            Place::Path => find(&name, variables.get("PATH")?)?,
            Place::System => find(&name, OF_THE_SYSTEM)?,
        };
        let folder = self.real_folder()?;
        let mut environment = self.environment.texts();
        for (name, value) in [("PWD", folder.as_bytes()), ("SHLVL", b"0"), ("_", path.as_bytes())] {
            let text = [name.as_bytes(), b"=", value].concat();
            environment.push(CString::new(text).ok()?);
        }
        let name = CString::new(name).ok()?;
        let arguments = arguments.into_iter().map(CString::new).collect::<Result<_, _>>().ok()?;
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

#[derive(Debug)]
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

fn is_of_the_shell(name: &str, value: &str) -> bool {
    let is_identifier = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    !is_identifier
        || name.starts_with("BASH")
        || OF_THE_SHELL.contains(&name)
        || (name == "LC_ALL" && !is_certainly_there(value))
        // They may have the loader say something of every program, and so of the shell.
        || (name.starts_with("LD_") && name != "LD_LIBRARY_PATH")
}

/// Whether a shell would not complain that it lacks this locale.
fn is_certainly_there(locale: &str) -> bool {
    let folders = ["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"];
    match locale {
        "" | "C" | "POSIX" => true,
        "C.UTF-8" => folders.iter().any(|folder| stat(*folder).is_ok()),
        _ => false,
    }
}

/// Where a shell would find a program. It may be that the user may not execute it.
fn find(name: &str, path: &str) -> Option<CString> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{CString, Surroundings};
    use crate::environment::Environment;

    /// The path of the program that takes the shell's place, and its words.
    fn program(command: &str, variables: &[(&str, &str)]) -> Option<Vec<String>> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: BTreeMap<_, _> = variables.iter().map(owned).collect();
        let environment = Environment::exactly(variables);
        let folder = CString::new("/").unwrap();
        let program = Surroundings { environment, folder }.program(command)?;
        let words = [program.path, program.name].into_iter().chain(program.arguments);
        Some(words.map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn programs_are_found_by_the_path_and_builtins_where_the_system_has_them() {
        let path = [("PATH", "/nonexistent:/bin")];
        assert_eq!(program("ls -l", &path).unwrap(), ["/bin/ls", "ls", "-l"]);
        assert_eq!(program("/bin/ls -l", &path).unwrap(), ["/bin/ls", "/bin/ls", "-l"]);
        for variables in [&path[..], &[]] {
            let echo = program("echo hi", variables).unwrap();
            let [path, words @ ..] = echo.as_slice() else { panic!("{echo:?}") };
            assert!(["/usr/bin/echo", "/bin/echo"].contains(&path.as_str()), "{path}");
            assert_eq!(words, ["echo", "hi"]);
        }
        assert_eq!(program("ls -l", &[]), None);
        assert_eq!(program("ls -l", &[("PATH", "bin:/bin")]), None);
    }

    #[test]
    fn variables_that_mean_something_to_shells_keep_commands_with_them() {
        for variable in [
            ("PWD", "/"),
            ("BASHOPTS", "xpg_echo"),
            ("BASH_FUNC_echo%%", "() { :; }"),
            ("IFS", ","),
            ("LC_ALL", "xx_YY"),
            ("LD_DEBUG", "help"),
            ("POSIXLY_CORRECT", "1"),
        ] {
            assert_eq!(program("echo hi", &[variable]), None, "{variable:?}");
        }
        for variable in [("LC_ALL", "C"), ("LANG", "xx_YY"), ("LD_LIBRARY_PATH", "/nonexistent")] {
            assert!(program("echo hi", &[variable]).is_some(), "{variable:?}");
        }
    }
}
