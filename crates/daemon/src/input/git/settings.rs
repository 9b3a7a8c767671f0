//! Names of settings, and which of them matter to a password.

/// A setting that git knows, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Whether the repository itself says it: not the user, the system or a command.
    pub is_the_repositorys: bool,
    /// Section, what it is about, and name.
    pub key: String,
}

/// The settings in what `git config --list --show-scope --name-only --null` wrote.
pub fn settings(output: &[u8]) -> impl Iterator<Item = Setting> {
    let mut words = output.split(|byte| *byte == 0);
    std::iter::from_fn(move || {
        let (scope, key) = (words.next()?, words.next()?);
        Some(Setting {
            is_the_repositorys: !matches!(scope, b"system" | b"global" | b"command"),
            key: super::text(key),
        })
    })
}

impl Setting {
    /// Whether it chooses who hears what is sent over HTTP: a proxy, an address, or whose certificates are believed.
    #[must_use]
    pub fn chooses_listeners(&self) -> bool {
        let Some((section, name)) = self.ends() else { return false };
        match section {
            "http" => ["proxy", "ssl", "curlopt"].iter().any(|start| name.starts_with(start)),
            "remote" => name.starts_with("proxy"),
            _ => false,
        }
    }

    /// The hook whose program it names.
    #[must_use]
    pub fn hook(&self) -> Option<&str> {
        let hook = self.key.get(.."hook.".len()).filter(|section| *section == "hook.");
        let name = self.key.get(hook?.len()..)?.strip_suffix(".command")?;
        (!name.is_empty()).then_some(name)
    }

    /// Section and name, which git writes in small letters.
    fn ends(&self) -> Option<(&str, &str)> {
        let (section, _) = self.key.split_once('.')?;
        let (_, name) = self.key.rsplit_once('.')?;
        Some((section, name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_written_is_read(output in prop::collection::vec(any::<u8>(), 0..200)) {
            let words = output.iter().filter(|byte| **byte == 0).count() + 1;
            prop_assert_eq!(settings(&output).count(), words / 2);
            for setting in settings(&output) {
                prop_assert!(!(setting.chooses_listeners() && setting.hook().is_some()));
            }
        }
    }

    fn setting(key: &str) -> Setting {
        Setting { is_the_repositorys: true, key: key.to_owned() }
    }

    #[test]
    fn settings_are_read_with_whose_they_are() {
        let output = b"system\0a.b\0global\0c.d\0local\0http.https://x.y.proxy\0worktree\0e\0command\0f.g\0new\0h.i\0";
        let read: Vec<_> = settings(output).map(|s| (s.is_the_repositorys, s.key)).collect();
        let wanted = [
            (false, "a.b"),
            (false, "c.d"),
            (true, "http.https://x.y.proxy"),
            (true, "e"),
            (false, "f.g"),
            (true, "h.i"),
        ];
        assert_eq!(read, wanted.map(|(own, key)| (own, key.to_owned())));
        assert_eq!(settings(b"").count() + settings(b"local").count(), 0);
    }

    #[test]
    fn what_chooses_listeners_is_known() {
        for key in [
            "http.proxy",
            "http.proxysslcainfo",
            "http.https://Good.example/a.b.sslverify",
            "http.sslcainfo",
            "http.curloptresolve",
            "remote.origin.proxy",
            "remote.a.b.proxyauthmethod",
        ] {
            assert!(setting(key).chooses_listeners(), "{key}");
        }
        for key in ["http", "http.postbuffer", "remote.proxy.url", "core.sslverify", "x.proxy", ""]
        {
            assert!(!setting(key).chooses_listeners(), "{key}");
        }
    }

    #[test]
    fn hooks_are_those_with_a_program() {
        assert_eq!(setting("hook.a.b=c.command").hook(), Some("a.b=c"));
        for key in ["hook.a.event", "hook..command", "hook.command", "hooks.a.command", "hü"] {
            assert_eq!(setting(key).hook(), None, "{key}");
        }
    }
}
