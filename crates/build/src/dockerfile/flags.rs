//! Flags of instructions: `--from=builder`.

use super::lines::first_word;

/// A flag as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: String,
    value: Option<String>,
}

/// What `COPY` and `ADD` can be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CopyFlags {
    pub(crate) from: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) exclude: Vec<String>,
}

/// What `RUN` can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunFlags {
    pub(super) mounts: Vec<Mount>,
    pub(super) has_network: bool,
}

/// What a folder shows while a command runs, and not after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The folder.
    pub(crate) target: String,
    /// What is in it; `None` for nothing at first.
    pub(crate) shows: Option<Shows>,
}

/// Files that a folder shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shows {
    /// The stage or image they are of; `None` for the build context.
    pub(crate) from: Option<String>,
    /// Where they are in it.
    pub(crate) source: String,
}

/// Takes the flags off the beginning of an instruction.
pub(super) fn take_flags(rest: &str, escape: char) -> (Vec<Flag>, &str) {
    let (mut flags, mut left) = (Vec::new(), rest.trim_start());
    while left.starts_with("--") {
        let (word, behind) = first_word(left, escape);
        left = behind.trim_start();
        let bare = word.strip_prefix("--").unwrap_or_default();
        // Two dashes alone end the flags.
        if bare.is_empty() {
            break;
        }
        flags.push(match bare.split_once('=') {
            Some((name, value)) => {
                Flag { name: name.to_owned(), value: Some(unquoted(value).to_owned()) }
            }
            None => Flag { name: bare.to_owned(), value: None },
        });
    }
    (flags, left)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

impl Flag {
    pub(super) fn value(self) -> Result<String, String> {
        let Self { name, value } = self;
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("--{name} needs a value: --{name}=VALUE"))
    }

    /// Whether a switch is on.
    fn is_on(&self) -> Result<bool, String> {
        match self.value.as_deref() {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(format!("--{} is true or false, not {other:?}", self.name)),
        }
    }

    pub(super) fn unknown(&self, keyword: &str, known: &str) -> String {
        format!("unknown flag --{}: {keyword} knows {known}", self.name)
    }
}

impl CopyFlags {
    pub(super) fn read(flags: Vec<Flag>, is_add: bool) -> Result<Self, String> {
        let (keyword, known) = match is_add {
            true => ("ADD", "--chown, --chmod, --exclude and --link"),
            false => ("COPY", "--from, --chown, --chmod, --exclude and --link"),
        };
        let mut read = Self::default();
        for flag in flags {
            match flag.name.as_str() {
                "from" if !is_add => read.from = Some(flag.value()?),
                "chown" => read.owner = Some(flag.value()?),
                "chmod" => read.mode = Some(flag.value()?),
                "exclude" => read.exclude.push(flag.value()?),
                // Every step is a layer of its own here.
                "link" => drop(flag.is_on()?),
                _ => return Err(flag.unknown(keyword, known)),
            }
        }
        Ok(read)
    }
}

impl RunFlags {
    pub(super) fn read(flags: Vec<Flag>) -> Result<Self, String> {
        let mut read = Self { mounts: Vec::new(), has_network: true };
        for flag in flags {
            match flag.name.as_str() {
                "mount" => read.mounts.push(Mount::read(&flag.value()?)?),
                "network" => match flag.value()?.as_str() {
                    "default" => read.has_network = true,
                    "none" => read.has_network = false,
                    other => {
                        return Err(format!("--network is default or none, not {other}"));
                    }
                },
                "security" => match flag.value()?.as_str() {
                    "sandbox" => {}
                    other => return Err(format!("--security is sandbox, not {other}")),
                },
                _ => return Err(flag.unknown("RUN", "--mount, --network and --security")),
            }
        }
        Ok(read)
    }
}

impl Mount {
    fn read(text: &str) -> Result<Self, String> {
        let (mut kind, mut target, mut source, mut from) = ("bind", None, None, None);
        for field in text.split(',') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let value = unquoted(value);
            match name {
                "type" => kind = value,
                "target" | "dst" | "destination" => target = Some(value.to_owned()),
                "source" | "src" => source = Some(value.to_owned()),
                "from" => from = Some(value.to_owned()),
                // Who may write, how much, and who else uses it at the same time: nobody does, and nothing is kept.
                "ro" | "readonly" | "rw" | "readwrite" | "sharing" | "id" | "mode" | "uid"
                | "gid" | "size" | "required" | "env" => {}
                other => return Err(format!("unknown option {other:?} of --mount")),
            }
        }
        let shows = match kind {
            "cache" | "tmpfs" => None,
            "bind" => Some(Shows { from, source: source.unwrap_or_else(|| String::from("/")) }),
            "secret" | "ssh" => {
                return Err(format!(
                    "--mount=type={kind} is not supported: a build has no secrets; --mount knows bind, cache and tmpfs"
                ));
            }
            other => return Err(format!("--mount knows bind, cache and tmpfs, not {other:?}")),
        };
        let target = target
            .filter(|target| !target.is_empty())
            .ok_or_else(|| String::from("--mount needs target=FOLDER"))?;
        Ok(Self { target, shows })
    }
}
