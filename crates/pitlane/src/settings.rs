//! The server's settings: one list, from which the command line, the environment, the file and the documentation come.
//!
//! A flag comes before a variable, a variable before the file, the file before the default. Every value is a text
//! until [`Setting::apply`] has understood it, so that a wrong one is told in the same words wherever it stood.

mod file;
mod list;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use pitlane_api::{PublicUrl, RateLimits};
use pitlane_build::BuildSettings;
use pitlane_control::Patience;
use pitlane_image::RegistryRules;
use pitlane_model::{ImageName, Limits};
use pitlane_network::{Ipv4Net, Subnet, Upstreams};
use pitlane_storage::ContextLimits;

use crate::exit::Exit;
use crate::failure::Failure;

/// Where a server keeps its state unless told otherwise.
pub(crate) const DEFAULT_STATE: &str = "/var/lib/pitlane";

/// Where a server on this machine is found unless it was told to listen elsewhere.
pub(crate) const DEFAULT_API_URL: &str = "http://127.0.0.1:3986/api";

/// Where the settings' file is looked for when none is named; it need not be there.
const DEFAULT_FILE: &str = "/etc/pitlane/pitlane.toml";

/// One setting of the server.
#[derive(Debug)]
struct Setting {
    /// Its place in the file: `network.uplink`.
    key: &'static str,
    /// Its flag, without the dashes.
    flag: &'static str,
    /// Its variable: the flag's name after `PITLANE_`.
    variable: &'static str,
    /// What kind of value it takes.
    value: &'static str,
    /// The value it has when nobody gives one, as text; empty for none.
    default: &'static str,
    /// What it decides.
    help: &'static str,
    /// Understands a value.
    apply: fn(&mut Settings, &str) -> Result<(), String>,
}

/// What the operator decided, understood.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) state: PathBuf,
    pub(crate) run: Option<PathBuf>,
    pub(crate) image_cache: PathBuf,
    pub(crate) image: ImageName,
    pub(crate) registries: RegistryRules,
    pub(crate) daemon: Option<PathBuf>,
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) storage_url: Option<PublicUrl>,
    pub(crate) storage_listen: Option<SocketAddr>,
    pub(crate) storage_certificate: Option<PathBuf>,
    pub(crate) storage_private_key: Option<PathBuf>,
    pub(crate) contexts: ContextLimits,
    /// The limits of a build's resources are those of sandboxes.
    pub(crate) builds: BuildSettings,
    pub(crate) max_connections: usize,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) rate_limits: RateLimits,
    pub(crate) mcp: pitlane_mcp::Settings,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) uplink: UplinkSetting,
    pub(crate) subnet: Subnet,
    pub(crate) allow_private: Vec<Ipv4Net>,
    pub(crate) resolvers: Upstreams,
    pub(crate) prepared: u32,
    pub(crate) pool_memory_mib: Option<u64>,
    /// How large a volume is, in GiB.
    pub(crate) volume_gib: u32,
    pub(crate) object_storage: ObjectStorageSettings,
    pub(crate) disk_overcommit: u32,
    pub(crate) first_id: u32,
    pub(crate) maximum: Limits,
    pub(crate) target: String,
    pub(crate) patience: Patience,
}

/// Where volumes are kept as objects; nowhere without an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ObjectStorageSettings {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) access_key_file: Option<PathBuf>,
}

/// A setting for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its place in the file.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) value: String,
    /// Who said so.
    pub(crate) place: &'static str,
}

/// Whether a setting of this name is for the server alone.
fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    ["secret", "token", "password", "credential"].iter().any(|word| name.contains(word))
        || name == "key"
        || (name.ends_with("_key") && !name.ends_with("per_key"))
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people if standard error is a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// A JSON object a line.
    Json,
}

/// The sandboxes' way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UplinkSetting {
    /// None.
    None,
    /// Through this machine's own network.
    Host,
    /// Through the network namespace that this file stands for.
    Namespace(PathBuf),
}

impl Setting {
    fn argument(&self) -> Arg {
        let default = match self.default {
            "" => String::new(),
            default => format!(" [default: {default}]"),
        };
        Arg::new(self.flag)
            .long(self.flag)
            .value_name(self.value)
            .env(self.variable)
            .hide_env_values(true)
            .help(format!("{}{default}", self.help))
    }
}

impl Settings {
    /// What holds when nobody decides anything.
    fn standard() -> Result<Self, Failure> {
        let mut settings = Self::before_defaults()?;
        for setting in list::all() {
            if !setting.default.is_empty() {
                settings.apply(setting, setting.default, "the default")?;
            }
        }
        Ok(settings)
    }

    /// Reads all sources: `matches` holds the command line and the environment.
    ///
    /// # Errors
    ///
    /// A value that makes no sense, with where it stood.
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, Failure> {
        let mut settings = Self::standard()?;
        let named = matches.get_one::<PathBuf>("config");
        let file =
            file::read(named.map_or(DEFAULT_FILE.as_ref(), PathBuf::as_path), named.is_some())?;
        for setting in list::all() {
            if let Some((value, place)) = file.get(setting.key) {
                settings.apply(setting, value, place)?;
            }
            if let Some(value) = matches.get_one::<String>(setting.flag) {
                let is_variable = matches.value_source(setting.flag)
                    == Some(clap::parser::ValueSource::EnvVariable);
                let place = if is_variable {
                    setting.variable.to_owned()
                } else {
                    format!("--{}", setting.flag)
                };
                settings.apply(setting, value, &place)?;
            }
        }
        Ok(settings)
    }

    /// What every setting is and where that was said; secrets are left out.
    ///
    /// # Errors
    ///
    /// The file of settings cannot be read.
    pub(crate) fn shown(matches: &ArgMatches) -> Result<Vec<Shown>, Failure> {
        let named = matches.get_one::<PathBuf>("config");
        let file =
            file::read(named.map_or(DEFAULT_FILE.as_ref(), PathBuf::as_path), named.is_some())?;
        let shown = list::all().map(|setting| {
            let key = setting.key;
            let given = matches.get_one::<String>(setting.flag).map(|value| {
                let is_variable = matches.value_source(setting.flag)
                    == Some(clap::parser::ValueSource::EnvVariable);
                (value.clone(), if is_variable { "variable" } else { "flag" })
            });
            let filed = || file.get(key).map(|(value, _)| (value.clone(), "file"));
            let default = || (setting.default.to_owned(), "default");
            let (value, place) = given.or_else(filed).unwrap_or_else(default);
            let value =
                if is_secret(key) && !value.is_empty() { "(secret)".to_owned() } else { value };
            Shown { key, value, place }
        });
        Ok(shown.collect())
    }

    fn apply(&mut self, setting: &Setting, value: &str, place: &str) -> Result<(), Failure> {
        (setting.apply)(self, value).map_err(|why| {
            // A password may be in it, and what is printed here is kept by whoever starts servers.
            let shown = if value.contains('@') {
                "what was given".to_owned()
            } else {
                format!("{value:?}")
            };
            Failure::new(format!("{place} cannot be {shown}: {why}"))
                .hint(format!("{}: {}", setting.value, setting.help))
                .exit(Exit::Usage)
        })
    }
}

/// Adds a flag for every setting.
pub(crate) fn arguments(command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .env("PITLANE_CONFIG")
        .hide_env_values(true)
        .value_parser(clap::value_parser!(PathBuf))
        .help(format!("The file of settings [default: {DEFAULT_FILE}, if it is there]"));
    command.arg(config).args(list::all().map(Setting::argument))
}
