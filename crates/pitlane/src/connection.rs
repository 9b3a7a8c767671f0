//! Which server the commands talk to, and with which key.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pitlane_client::{Client, Endpoint, Key};
use serde::Deserialize;

use crate::environment;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::serve::{ADDRESS_FILE, KEY_FILE};
use crate::settings;

/// Where to find the address and the key, besides the files.
#[derive(Debug, Default)]
struct Sources {
    /// `--api-url`, which the parser also takes from `PITLANE_API_URL`.
    flag: Option<String>,
    own_key: Option<String>,
    daytona_url: Option<String>,
    daytona_key: Option<String>,
    settings: Option<PathBuf>,
    state: PathBuf,
}

/// The file `pitlane/config.toml` among the user's settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    url: Option<String>,
    key: Option<String>,
}

/// A client of the server that the user means: see docs/configuration.md for the order.
pub(crate) fn client(api_url: Option<&str>) -> Result<Client, Failure> {
    Sources::find(api_url).endpoint().map(Client::new)
}

/// The same with a key that is already known.
pub(crate) fn client_with_key(api_url: Option<&str>, key: String) -> Result<Client, Failure> {
    let sources = Sources { own_key: Some(key), ..Sources::find(api_url) };
    sources.endpoint().map(Client::new)
}

/// The same for whoever serves others, who bring keys of their own: its own key need not be there.
pub(crate) fn client_for_others(api_url: Option<&str>) -> Result<Client, Failure> {
    let mut sources = Sources::find(api_url);
    // Never sent: what is asked is asked with the others' keys.
    sources.own_key = Some("none".to_owned());
    sources.endpoint().map(Client::new)
}

impl Sources {
    fn find(api_url: Option<&str>) -> Self {
        Self {
            flag: api_url.map(str::to_owned),
            own_key: environment::variable("PITLANE_API_KEY"),
            daytona_url: environment::variable("DAYTONA_API_URL"),
            daytona_key: environment::variable("DAYTONA_API_KEY"),
            settings: environment::settings_folder()
                .map(|folder| folder.join("pitlane/config.toml")),
            state: environment::variable("PITLANE_STATE")
                .unwrap_or_else(|| settings::DEFAULT_STATE.to_owned())
                .into(),
        }
    }

    fn endpoint(self) -> Result<Endpoint, Failure> {
        let file = self.settings.as_deref().map_or_else(|| Ok(File::default()), File::read)?;
        let (url, key) = if self.flag.is_some() || file.url.is_some() {
            // A key belongs to a server: one that was given for another is not sent here.
            let key_of_file = if self.flag.is_none() { file.key } else { None };
            let keys_of_daytona =
                if self.flag == self.daytona_url { self.daytona_key.clone() } else { None };
            (self.flag.or(file.url), self.own_key.or(key_of_file).or(keys_of_daytona))
        } else if self.daytona_url.is_some() {
            (self.daytona_url, self.own_key.or(self.daytona_key))
        } else {
            return self.local();
        };
        let usage = |error| Failure::from(anyhow::Error::new(error)).exit(Exit::Usage);
        let url = url.unwrap_or_default();
        // Before anything repeats it: it may have a password in it.
        Endpoint::check_url(&url).map_err(usage)?;
        let key = key.ok_or_else(|| {
            Failure::new(format!("no API key for {url}"))
                .hint("`pitlane login URL` keeps a key for it; or export PITLANE_API_KEY=…")
                .exit(Exit::Usage)
        })?;
        Endpoint::new(&url, Key::new(&key).map_err(usage)?).map_err(usage)
    }

    /// A server on this machine, whose state folder tells where it is and holds a key.
    fn local(self) -> Result<Endpoint, Failure> {
        let url = std::fs::read_to_string(self.state.join(ADDRESS_FILE))
            .unwrap_or_else(|_| settings::DEFAULT_API_URL.to_owned());
        let key_file = self.state.join(KEY_FILE);
        let key = match (self.own_key, std::fs::read_to_string(&key_file)) {
            (Some(key), _) | (None, Ok(key)) => key,
            (None, Err(cause)) => {
                let path = key_file.display().to_string();
                return Err(anyhow::Error::new(cause)
                    .context(format!("no server is named, and the key of one on this machine is not at {path}"))
                    .into())
                .map_err(|failure: Failure| {
                    failure
                        .hint("start a server here with `pitlane serve` (as root), and run this command as root as well")
                        .hint("or name a server: export DAYTONA_API_URL=… DAYTONA_API_KEY=…")
                        .exit(Exit::Usage)
                });
            }
        };
        Ok(Endpoint::new(&url, Key::new(&key)?)?)
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, Failure> {
        let doing = || format!("cannot read {}", path.display());
        let mut file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(cause) => return Err(cause).doing(doing()),
        };
        let mode = file.metadata().doing(doing())?.permissions().mode();
        let mut text = String::new();
        file.read_to_string(&mut text).doing(doing())?;
        let read: Self = toml::from_str(&text)
            .doing(format!("cannot understand {}", path.display()))
            .map_err(|failure| failure.exit(Exit::Usage))?;
        // Who writes it decides which server is sent a key and believed; who reads it has the key.
        let others = if read.key.is_some() { 0o066 } else { 0o022 };
        if mode & others != 0 {
            let message = format!("{} can be used by others than its owner", path.display());
            let hint = format!("chmod 600 {}", path.display());
            return Err(Failure::new(message).hint(hint).exit(Exit::Usage));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(folder: &Path) -> Sources {
        Sources {
            settings: Some(folder.join("config.toml")),
            state: folder.join("state"),
            ..Sources::default()
        }
    }

    fn endpoint(url: &str, key: &str) -> Endpoint {
        Endpoint::new(url, Key::new(key).unwrap()).unwrap()
    }

    fn folder_with(file: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        allow(&path, 0o600);
        folder
    }

    fn allow(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_others_read_a_key_in_or_write_is_refused() {
        let with_key = folder_with("url = 'http://file/api'\nkey = 'file'\n");
        let without = folder_with("url = 'http://file/api'\n");
        for (folder, mode, is_refused) in [
            (&with_key, 0o600, false),
            (&with_key, 0o640, true),
            (&with_key, 0o604, true),
            (&with_key, 0o620, true),
            (&without, 0o644, false),
            (&without, 0o664, true),
        ] {
            let path = folder.path().join("config.toml");
            allow(&path, mode);
            let told = File::read(&path).err().map(|failure| failure.to_string());
            assert_eq!(told.is_some(), is_refused, "{mode:o}: {told:?}");
            if let Some(told) = told {
                assert!(told.contains("\nhint: chmod 600 "), "{told}");
            }
        }
    }

    #[test]
    fn the_file_comes_before_the_variables_of_other_programs() {
        let folder = folder_with("url = 'http://file/api'\nkey = 'file'\n");
        let found = Sources {
            daytona_url: Some("http://daytona/api".into()),
            daytona_key: Some("daytona".into()),
            ..sources(folder.path())
        };
        assert_eq!(found.endpoint().unwrap(), endpoint("http://file/api", "file"));
    }

    #[test]
    fn without_a_file_the_variables_of_other_programs_count() {
        let folder = tempfile::tempdir().unwrap();
        let found = Sources {
            daytona_url: Some("http://daytona/api".into()),
            daytona_key: Some("daytona".into()),
            ..sources(folder.path())
        };
        assert_eq!(found.endpoint().unwrap(), endpoint("http://daytona/api", "daytona"));
    }

    #[test]
    fn a_key_is_never_sent_to_a_server_it_was_not_given_for() {
        let folder = folder_with("url = 'http://file/api'\nkey = 'file'\n");
        let found = Sources {
            flag: Some("http://flag/api".into()),
            daytona_url: Some("http://daytona/api".into()),
            daytona_key: Some("daytona".into()),
            ..sources(folder.path())
        };
        let failure = found.endpoint().unwrap_err().to_string();
        assert!(failure.starts_with("error: no API key for http://flag/api\nhint: "), "{failure}");
    }

    #[test]
    fn a_password_in_an_address_without_a_key_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let found =
            Sources { flag: Some("http://me:hunter2@host/api".into()), ..sources(folder.path()) };
        let failure = found.endpoint().unwrap_err().to_string();
        assert!(!failure.contains("hunter2"), "{failure}");
    }

    #[test]
    fn a_server_on_this_machine_is_found_by_its_state_folder() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join(KEY_FILE), "local\n").unwrap();
        assert_eq!(
            sources(folder.path()).endpoint().unwrap(),
            endpoint("http://127.0.0.1:3986/api", "local")
        );
        std::fs::write(state.join(ADDRESS_FILE), "http://127.0.0.1:4/api\n").unwrap();
        assert_eq!(
            sources(folder.path()).endpoint().unwrap(),
            endpoint("http://127.0.0.1:4/api", "local")
        );
    }

    #[test]
    fn a_misspelt_setting_is_an_error() {
        let folder = folder_with("uri = 'http://file/api'\n");
        let failure = sources(folder.path()).endpoint().unwrap_err().to_string();
        assert!(failure.contains("unknown field `uri`"), "{failure}");
    }
}
