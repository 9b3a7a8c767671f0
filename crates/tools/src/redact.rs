//! Secrets out of what is told.

use std::collections::BTreeMap;

/// What stands where a secret was.
const HIDDEN: &str = "[redacted]";

/// Parts of names whose values nobody should read.
const SECRET_NAMES: [&str; 12] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "AUTH",
    "PRIVATE",
    "COOKIE",
    "SESSION",
    "DSN",
];

/// Beginnings of values that are secret whatever their name.
const SECRET_VALUES: [&str; 11] = [
    "sk-",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "dtn_",
    "eyJ",
    "-----BEGIN",
];

/// Variables whose secrets are hidden.
pub(crate) fn variables(variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| (name.clone(), variable(name, value))).collect()
}

fn variable(name: &str, value: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let is_secret = SECRET_NAMES.iter().any(|part| upper.contains(part))
        || upper.split('_').any(|part| matches!(part, "PASS" | "PWD" | "PIN"))
        || SECRET_VALUES.iter().any(|beginning| value.starts_with(beginning));
    if is_secret && !value.is_empty() { String::from(HIDDEN) } else { address(value) }
}

/// An address without who asks and their password.
pub(crate) fn address(url: &str) -> String {
    match split(url) {
        Some((scheme, _, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

/// Who asks and their password, out of an address: as they are, not as an address writes them.
pub(crate) fn credentials(url: &str) -> Option<(String, String)> {
    let (_, who, _) = split(url)?;
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let plain = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(user), plain(password)))
}

fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest.get(..end)?.rfind('@')?;
    // Of ssh the name is no secret and needed.
    if !matches!(scheme, "http" | "https") && !rest.get(..at)?.contains(':') {
        return None;
    }
    Some((scheme, rest.get(..at)?, rest.get(at.saturating_add(1)..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_by_value_and_in_addresses() {
        for (name, value, told) in [
            ("API_KEY", "x", HIDDEN),
            ("github_token", "x", HIDDEN),
            ("DB_PASS", "x", HIDDEN),
            ("ANYTHING", "ghp_abc", HIDDEN),
            ("API_KEY", "", ""),
            ("PATH", "/bin", "/bin"),
            ("COMPASS", "north", "north"),
            ("DATABASE_URL", "postgres://u:p@h/db", "postgres://h/db"),
            ("URL", "https://h/p?q=a@b", "https://h/p?q=a@b"),
        ] {
            assert_eq!(variable(name, value), told, "{name}={value}");
        }
    }

    #[test]
    fn who_asks_is_taken_out_of_an_address() {
        let url = "https://me:p%40ss@host:8080/repo.git";
        assert_eq!(address(url), "https://host:8080/repo.git");
        assert_eq!(credentials(url), Some((String::from("me"), String::from("p@ss"))));
        for other in ["https://host/repo", "git@host:repo", "ssh://git@host/repo", "/srv/repo"] {
            assert_eq!((address(other), credentials(other)), (other.to_owned(), None));
        }
    }
}
