//! Which port of which sandbox a path names, and what is left of it for the application.

use std::num::NonZeroU16;

use http::Uri;
use pitlane_model::SandboxId;

use crate::refusal::Refusal;
use crate::toolbox;

/// The query parameter that proves who is asking; it stays outside.
pub(super) const KEY_PARAMETER: &str = "DAYTONA_SANDBOX_AUTH_KEY";

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) sandbox: SandboxId,
    pub(super) port: NonZeroU16,
    /// What the application does not see of the path: `/toolbox/{id}/proxy/{port}`.
    pub(super) prefix: String,
    /// As the client wrote it: escapes kept, dot segments not resolved. Empty if not even a slash was written.
    path: String,
    query: Option<String>,
    /// The tokens that were in the query.
    pub(super) tokens: Vec<String>,
}

impl Target {
    /// Takes the path of a preview apart; `None` for a path that is none.
    pub(super) fn of(uri: &Uri) -> Option<Result<Self, Refusal>> {
        let rest = uri.path().strip_prefix(toolbox::PREFIX)?;
        let (id, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("proxy/")?;
        let (port, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let sandbox = id.parse().ok()?;
        let Some(port) = parse_port(port) else { return Some(Err(no_port())) };
        let (query, tokens) = uri.query().map_or((None, Vec::new()), parted);
        let prefix = format!("{}{id}/proxy/{port}", toolbox::PREFIX);
        Some(Ok(Self { sandbox, port, prefix, path: path.to_owned(), query, tokens }))
    }

    /// Whether the path ends with the port: what a page then links to is looked for beside its prefix.
    pub(super) const fn is_bare(&self) -> bool {
        self.path.is_empty()
    }

    /// The path and query that the application sees.
    pub(super) fn inside(&self) -> String {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        }
    }
}

/// A port as it is written in paths: digits, and nothing that could be written in two ways.
pub(super) fn parse_port(text: &str) -> Option<NonZeroU16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// What to say of a text that is no port.
pub(super) fn no_port() -> Refusal {
    Refusal::bad_request("the port must be a whole number from 1 to 65535")
}

/// A query without its tokens, the rest byte for byte, and the tokens. `None` where nothing but tokens was in it.
pub(super) fn parted(query: &str) -> (Option<String>, Vec<String>) {
    let mut tokens = Vec::new();
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match form_urlencoded::parse(pair.as_bytes()).next() {
            Some((name, value)) if name == KEY_PARAMETER => tokens.push(value.into_owned()),
            _ => rest.push(pair),
        }
    }
    let has_rest = tokens.is_empty() || !rest.is_empty();
    (has_rest.then(|| rest.join("&")), tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abababab-abab-4bab-abab-abababababab";

    fn target(rest: &str) -> Option<Target> {
        Target::of(&format!("/toolbox/{ID}{rest}").parse().unwrap())?.ok()
    }

    #[test]
    fn the_application_sees_the_rest_of_the_path_as_it_was_written() {
        for (rest, wanted) in [
            ("/proxy/80", "/"),
            ("/proxy/80/", "/"),
            ("/proxy/80//a%2Fb/../c", "//a%2Fb/../c"),
            ("/proxy/80/x?a=%26&b", "/x?a=%26&b"),
            ("/proxy/80/x?", "/x?"),
            ("/proxy/80/x?DAYTONA_SANDBOX_AUTH_KEY=s", "/x"),
            ("/proxy/80/x?a=1&DAYTONA_SANDBOX_AUTH_KEY=s&b=%20", "/x?a=1&b=%20"),
            ("/proxy/80?%44AYTONA_SANDBOX_AUTH_KEY=s&a", "/?a"),
            ("/proxy/80/proxy/81/", "/proxy/81/"),
        ] {
            let target = target(rest).unwrap();
            assert_eq!(target.inside(), wanted, "{rest}");
            assert_eq!(target.prefix, format!("/toolbox/{ID}/proxy/80"), "{rest}");
        }
        let tokens =
            target("/proxy/80/?DAYTONA_SANDBOX_AUTH_KEY=a%2Bb&x&DAYTONA_SANDBOX_AUTH_KEY=");
        assert_eq!(tokens.unwrap().tokens, ["a+b", ""]);
    }

    #[test]
    fn a_port_is_written_in_one_way() {
        for port in ["0", "080", "65536", "+80", "-1", "8o", "%38%30", "", " "] {
            let uri = format!("/toolbox/{ID}/proxy/{}/", port.replace(' ', "%20")).parse().unwrap();
            assert!(Target::of(&uri).is_some_and(|target| target.is_err()), "{port:?}");
        }
        assert_eq!(target("/proxy/65535/").unwrap().port.get(), 65535);
    }

    #[test]
    fn what_is_no_preview_is_left_to_the_toolbox() {
        for rest in
            ["", "/", "/proxy", "//proxy/80", "/files/proxy/80", "/%70roxy/80", "/x/../proxy/80"]
        {
            assert!(
                Target::of(&format!("/toolbox/{ID}{rest}").parse().unwrap()).is_none(),
                "{rest}"
            );
        }
        assert!(Target::of(&"/toolbox/name/proxy/80/".parse().unwrap()).is_none());
    }
}
