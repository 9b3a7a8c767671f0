//! Which sandbox a toolbox path names, and what is left of it for the daemon.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;
use pitlane_model::SandboxId;

use super::signed;
use crate::refusal::Refusal;

/// What every toolbox path begins with.
pub(crate) const PREFIX: &str = "/toolbox/";

/// The query parameter that proves who is asking; it stays outside.
pub(super) const KEY_PARAMETER: &str = "DAYTONA_SANDBOX_AUTH_KEY";

/// The first segment of what only the server may ask a daemon.
const OWN_SEGMENT: &[u8] = b"pitlane";

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) sandbox: SandboxId,
    /// As the client wrote it: escapes kept, dot segments not resolved.
    pub(super) path_and_query: PathAndQuery,
}

impl Target {
    /// Takes a path apart.
    ///
    /// # Errors
    ///
    /// 404 for what names no sandbox by its id, and for what is the server's own.
    pub(super) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let rest = uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let (id, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let sandbox = id.parse().map_err(|_not_a_uuid| Refusal::no_sandbox(id))?;
        if is_own(path) {
            return Err(Refusal::not_found(format!("no such toolbox path: {path}")));
        }
        let is_signed = signed::ROUTES.iter().any(|(_, of_file, _)| *of_file == path);
        let stays = |name: &str| name == KEY_PARAMETER || is_signed && name == signed::SIGNATURE;
        let text: Cow<'_, str> = match uri.query().map(|query| without(query, stays)) {
            Some(query) if !query.is_empty() => format!("{path}?{query}").into(),
            Some(_) | None => path.into(),
        };
        let path_and_query = text
            .parse()
            .map_err(|error| Refusal::bad_request(format!("the path is not valid: {error}")))?;
        Ok(Self { sandbox, path_and_query })
    }
}

/// Whether a path is one of the file API of a sandbox, and of nothing else: an application may have such paths as well.
pub(super) fn is_of_files(path: &str) -> bool {
    let rest = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
    rest.is_some_and(|(_id, rest)| rest.starts_with("files/"))
}

/// Reads any text as what follows a sandbox's id in the address of a toolbox request.
#[cfg(fuzzing)]
pub(crate) fn read_any(text: &str) {
    let id = SandboxId::from_bytes([7; 16]);
    let Ok(request) = http::Request::get(format!("{PREFIX}{id}{text}")).body(()) else { return };
    let (parts, ()) = request.into_parts();
    let _shown = signed::Shown::of(&parts);
    let Ok(target) = Target::of(&parts.uri) else { return };
    assert!(!is_own(target.path_and_query.path()));
    let query = target.path_and_query.query().unwrap_or_default();
    assert!(form_urlencoded::parse(query.as_bytes()).all(|(name, _)| name != KEY_PARAMETER));
}

/// Whether a daemon could take a path for one of the server's own, however it is written: with escapes, doubled
/// slashes or dot segments.
fn is_own(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path);
    let decoded: Vec<u8> = decoded.collect();
    let mut resolved: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => {
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    let literally = decoded.split(|byte| matches!(byte, b'/' | b'\\')).find(|s| !s.is_empty());
    [resolved.first().copied(), literally]
        .into_iter()
        .flatten()
        .any(|first| first.eq_ignore_ascii_case(OWN_SEGMENT))
}

/// The query without the parameters that stay outside, the rest byte for byte.
fn without(query: &str, stays: impl Fn(&str) -> bool) -> String {
    let stays = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        form_urlencoded::parse(name.as_bytes()).next().is_some_and(|(name, _)| stays(&name))
    };
    query.split('&').filter(|pair| !stays(pair)).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abababab-abab-4bab-abab-abababababab";

    fn sent(path: &str) -> Option<String> {
        let uri: Uri = format!("/toolbox/{path}").parse().unwrap();
        let target = Target::of(&uri).ok()?;
        assert_eq!(target.sandbox.to_string(), ID);
        Some(target.path_and_query.to_string())
    }

    #[test]
    fn only_the_file_api_is_of_files() {
        assert!(is_of_files("/toolbox/x/files/upload-v2"));
        for other in [
            "/toolbox/x/proxy/3000/files/upload",
            "/toolbox/x//files/upload",
            "/toolbox/x/file",
            "/toolbox/files/upload",
            "/toolbox/x/files",
            "/files/upload",
            "/api/toolbox/x/files/upload",
        ] {
            assert!(!is_of_files(other), "{other}");
        }
    }

    #[test]
    fn the_rest_of_the_path_is_passed_on_as_it_was_written() {
        for (rest, wanted) in [
            ("", "/"),
            ("/", "/"),
            ("/process/execute", "/process/execute"),
            ("/files?path=%2Fa%20b&path=c", "/files?path=%2Fa%20b&path=c"),
            ("/a%2Fb/../../../api/sandbox", "/a%2Fb/../../../api/sandbox"),
            ("//x", "//x"),
            ("/x?", "/x"),
        ] {
            assert_eq!(sent(&format!("{ID}{rest}")).as_deref(), Some(wanted), "{rest}");
        }
    }

    #[test]
    fn the_key_in_a_query_stays_outside_however_it_is_written() {
        for (query, wanted) in [
            ("DAYTONA_SANDBOX_AUTH_KEY=s", "/f"),
            ("a=1&DAYTONA_SANDBOX_AUTH_KEY=s&b=%26", "/f?a=1&b=%26"),
            ("%44AYTONA_SANDBOX_AUTH_KEY=s&a", "/f?a"),
            ("DAYTONA_SANDBOX_AUTH_KEY=s&DAYTONA_SANDBOX_AUTH_KEY", "/f"),
            ("XDAYTONA_SANDBOX_AUTH_KEY=s", "/f?XDAYTONA_SANDBOX_AUTH_KEY=s"),
        ] {
            assert_eq!(sent(&format!("{ID}/f?{query}")).as_deref(), Some(wanted), "{query}");
        }
    }

    #[test]
    fn a_signature_beside_a_key_stays_outside_where_it_is_one() {
        let query = "path=a&expires=0&signature=v1_s&%73ignature=v1_s";
        for (rest, wanted) in [
            ("/files/download", "path=a&expires=0"),
            ("/files/upload-v2", "path=a&expires=0"),
            ("/files/info", query),
        ] {
            let wanted = format!("{rest}?{wanted}");
            assert_eq!(sent(&format!("{ID}{rest}?{query}")), Some(wanted), "{rest}");
        }
    }

    #[test]
    fn what_only_the_server_may_ask_cannot_be_asked_from_outside() {
        for rest in [
            "/pitlane/cancel/x",
            "/pitlane",
            "/PitLane/x",
            "//pitlane/x",
            "/./pitlane/x",
            "/a/../pitlane/x",
            "/%70itlane/x",
            "/a/%2e%2e/pitlane/x",
            "/%2Fpitlane%2Fx",
            "/\\pitlane/x",
            "/pitlane/../x",
        ] {
            if let Ok(uri) = format!("/toolbox/{ID}{rest}").parse::<Uri>() {
                assert!(Target::of(&uri).is_err(), "{rest}");
            }
        }
        assert!(sent(&format!("{ID}/files/pitlane")).is_some());
        assert!(sent(&format!("{ID}/pitlanes")).is_some());
    }

    #[test]
    fn only_an_id_names_a_sandbox() {
        for path in ["/toolbox/", "/toolbox/name/files", "/toolbox/..%2Fapi", "/toolbox//files"] {
            assert!(Target::of(&path.parse().unwrap()).is_err(), "{path}");
        }
    }
}
