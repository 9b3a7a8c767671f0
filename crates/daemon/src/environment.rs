//! The variables of the processes that callers start.

use std::collections::BTreeMap;
use std::ffi::CString;

use pitlane_wire::handshake::Boot;
use pitlane_wire::toolbox::UpdateEnvironment;

use crate::user::User;

/// Where programs are looked for when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables with valid names and values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// A variable that a process cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    #[error("environment variable name {0:?} is not an identifier")]
    Name(String),
    #[error("the value of environment variable {0} contains a NUL")]
    Value(String),
}

impl Environment {
    /// The sandbox's variables: what every login has, then what was configured, then who the sandbox is.
    pub(crate) fn of_sandbox(boot: &Boot, user: &User) -> Self {
        let shell = user.shell.as_deref().unwrap_or("/bin/sh");
        let defaults = [
            ("HOME", user.home.as_str()),
            ("USER", &user.name),
            ("LOGNAME", &user.name),
            ("PATH", PATH),
            ("SHELL", shell),
            ("LANG", "C.UTF-8"),
        ];
        let own = [
            ("DAYTONA_SANDBOX_ID", boot.sandbox_id.as_str()),
            ("DAYTONA_SANDBOX_SNAPSHOT", &boot.snapshot),
            ("DAYTONA_SANDBOX_USER", &user.name),
        ];
        // Names from an image need not be identifiers, but they must be names.
        let is_possible = |(name, value): &(&String, &String)| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
        };
        let configured = boot.env.iter().filter(is_possible);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let all = defaults.into_iter().map(owned);
        let all = all.chain(configured.map(|(name, value)| owned((name, value))));
        Self(all.chain(own.into_iter().map(owned)).collect())
    }

    /// These variables and no others; what cannot be one is left out.
    pub(crate) fn exactly(variables: BTreeMap<String, String>) -> Self {
        let is_possible = |name: &String, value: &mut String| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
        };
        let mut variables = variables;
        variables.retain(is_possible);
        Self(variables)
    }

    /// These variables and those of a request, which win.
    pub(crate) fn with(
        &self,
        requested: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, VariableError> {
        let mut all = self.clone();
        for (name, value) in requested.into_iter().flatten() {
            check(name, value)?;
            all.0.insert(name.clone(), value.clone());
        }
        Ok(all)
    }

    /// Forgets and sets variables; changes nothing when one is impossible.
    pub(crate) fn update(&mut self, change: &UpdateEnvironment) -> Result<(), VariableError> {
        let mut changed = self.clone();
        let prefix = change.unset_value_prefix.as_str();
        changed.0.retain(|name, value| {
            let has_prefix = !prefix.is_empty() && value.starts_with(prefix);
            !change.unset.contains(name) && !has_prefix
        });
        *self = changed.with(Some(&change.set))?;
        Ok(())
    }

    /// As a program gets them.
    pub(crate) fn texts(&self) -> Vec<CString> {
        let texts = self.0.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
        // None is lost: names and values were checked.
        texts.filter_map(Result::ok).collect()
    }

    /// By name.
    pub(crate) const fn variables(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Every path at which a program of this name may be.
    pub(crate) fn candidates(&self, program: &str) -> Vec<CString> {
        let path = self.0.get("PATH").map_or(PATH, String::as_str);
        let folders = path.split(':').filter(|folder| folder.starts_with('/'));
        folders.filter_map(|folder| CString::new(format!("{folder}/{program}")).ok()).collect()
    }
}

fn check(name: &str, value: &str) -> Result<(), VariableError> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !(begins && goes_on) {
        return Err(VariableError::Name(name.to_owned()));
    }
    if value.contains('\0') {
        return Err(VariableError::Value(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn who_the_sandbox_is_cannot_be_configured_away() {
        let user = User {
            name: "u".into(),
            identity: None,
            home: "/home/u".into(),
            shell: Some("/bin/zsh".into()),
        };
        let boot = Boot {
            sandbox_id: "id".into(),
            snapshot: "snap".into(),
            env: map(&[("PATH", "/x"), ("DAYTONA_SANDBOX_ID", "other"), ("a.b", "1"), ("", "x")]),
            ..Boot::default()
        };
        let wanted = map(&[
            ("DAYTONA_SANDBOX_ID", "id"),
            ("DAYTONA_SANDBOX_SNAPSHOT", "snap"),
            ("DAYTONA_SANDBOX_USER", "u"),
            ("HOME", "/home/u"),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", "u"),
            ("PATH", "/x"),
            ("SHELL", "/bin/zsh"),
            ("USER", "u"),
            ("a.b", "1"),
        ]);
        assert_eq!(Environment::of_sandbox(&boot, &user), Environment(wanted));
    }

    #[test]
    fn a_request_may_only_use_identifiers() {
        let environment = Environment::default();
        for name in ["", "1A", "A-B", "A=B", "A B", "Ä", "A\n"] {
            let result = environment.with(Some(&map(&[(name, "x")])));
            assert_eq!(result, Err(VariableError::Name(name.to_owned())));
        }
        let result = environment.with(Some(&map(&[("A", "x\0")])));
        assert_eq!(result, Err(VariableError::Value("A".to_owned())));
    }

    #[test]
    fn an_update_forgets_before_it_sets() {
        let mut environment =
            Environment(map(&[("A", "1"), ("B", "secret-1"), ("C", "3"), ("D", "secret-2")]));
        let change = UpdateEnvironment {
            set: map(&[("A", "2"), ("D", "4")]),
            unset: vec!["C".into(), "D".into()],
            unset_value_prefix: "secret-".into(),
        };
        assert_eq!(environment.update(&change), Ok(()));
        assert_eq!(environment, Environment(map(&[("A", "2"), ("D", "4")])));
    }
}
