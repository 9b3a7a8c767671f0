//! One command of git: its arguments, its input, what it may not inherit.

use std::collections::BTreeMap;
use std::ffi::CString;

use super::credentials::{Credentials, MEANS};
use crate::http::Refusal;

/// Options of every command. Programs named by an address would be run by whoever wrote the address.
const ALWAYS: [&str; 7] = [
    "--no-pager",
    "-c",
    "color.ui=never",
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "protocol.fd.allow=never",
];
/// Variables of every command: English, and nobody is asked anything.
const VARIABLES: [(&str, &str); 9] = [
    ("LC_ALL", "C.UTF-8"),
    ("LANGUAGE", ""),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS_REQUIRE", "never"),
    ("GIT_EDITOR", ":"),
    ("GIT_SEQUENCE_EDITOR", ":"),
    ("GIT_MERGE_AUTOEDIT", "no"),
    ("GCM_INTERACTIVE", "never"),
];
/// Variables by which a sandbox would have git work elsewhere than was asked, or write what it does among its errors.
const REMOVED: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES=",
    "GIT_CEILING_DIRECTORIES=",
    "GIT_COMMON_DIR=",
    "GIT_CONFIG=",
    "GIT_CURL_VERBOSE=",
    "GIT_DIR=",
    "GIT_GRAFT_FILE=",
    "GIT_INDEX_FILE=",
    "GIT_NAMESPACE=",
    "GIT_OBJECT_DIRECTORY=",
    "GIT_PREFIX=",
    "GIT_SHALLOW_FILE=",
    "GIT_TRACE",
    "GIT_WORK_TREE=",
    "GIT_LITERAL_PATHSPECS=",
];

/// A command that can be run.
#[derive(Default)]
pub(super) struct Command<'a> {
    options: Vec<String>,
    arguments: Vec<String>,
    pub(super) input: Vec<u8>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) credentials: Option<&'a Credentials>,
}

impl<'a> Command<'a> {
    /// `git NAME …`.
    pub(super) fn new<'b>(arguments: impl IntoIterator<Item = &'b str>) -> Self {
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Self { arguments, ..Self::default() }
    }

    /// One that only looks: it does not hold up others that change something.
    pub(super) fn looking<'b>(arguments: impl IntoIterator<Item = &'b str>) -> Self {
        Self::new(arguments).with_variable("GIT_OPTIONAL_LOCKS", "0")
    }

    /// With one more argument, which may be anything where it stands.
    pub(super) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With one more argument, if there is one.
    pub(super) fn argument_if(self, is_wanted: bool, argument: &str) -> Self {
        if is_wanted { self.argument(argument) } else { self }
    }

    /// With a setting, for this command and what it starts.
    pub(super) fn setting(mut self, setting: impl Into<String>) -> Self {
        self.options.extend([String::from("-c"), setting.into()]);
        self
    }

    /// With a variable.
    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a standard input.
    pub(super) fn reading(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// With paths, which mean themselves and nothing else.
    pub(super) fn with_paths(self, paths: &[String]) -> Result<Self, Refusal> {
        let mut input = Vec::new();
        for path in paths {
            if path.is_empty() || path.contains('\0') {
                return Err(Refusal::bad_path("a file's path is empty or contains a NUL"));
            }
            input.extend_from_slice(b":(literal)");
            input.extend_from_slice(path.as_bytes());
            input.push(0);
        }
        Ok(self.argument("--pathspec-from-file=-").argument("--pathspec-file-nul").reading(input))
    }

    /// With credentials, for as long as it runs.
    pub(super) fn with_credentials(mut self, credentials: Option<&'a Credentials>) -> Self {
        let Some(credentials) = credentials else { return self };
        for setting in credentials.settings() {
            self = self.setting(setting);
        }
        self.credentials = Some(credentials);
        self.with_variable(MEANS.0, MEANS.1)
    }

    /// What follows the program's name.
    pub(super) fn words(&self) -> Result<Vec<CString>, Refusal> {
        let words = ALWAYS.into_iter().chain(self.options.iter().map(String::as_str));
        let words = words.chain(self.arguments.iter().map(String::as_str)).map(CString::new);
        words
            .collect::<Result<_, _>>()
            .map_err(|_contains_nul| Refusal::bad_request("an argument contains a NUL"))
    }
}

/// The variables of every command.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    VARIABLES.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// Whether a command may have this variable, `NAME=value`.
pub(super) fn is_inherited(variable: &CString) -> bool {
    let variable = variable.to_bytes();
    !REMOVED.iter().any(|removed| variable.starts_with(removed.as_bytes()))
}
