//! Addresses of the control plane that end with a slash, which the reference serves like those without.

use http::Uri;
use http::uri::PathAndQuery;

/// The event channel's path is its own: it ends with a slash.
const EVENTS: &str = "/api/socket.io/";

/// The address without the slash at its end, if it is one of the control plane's and has one.
pub(super) fn without_last(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.starts_with("/api/") || path.starts_with(EVENTS) {
        return None;
    }
    let shorter = path.strip_suffix('/').filter(|shorter| shorter.len() > "/api".len())?;
    let shorter = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{shorter}?{query}")),
        None => PathAndQuery::try_from(shorter),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(shorter.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_at_the_end_is_no_part_of_an_address_of_the_control_plane() {
        for (address, wanted) in [
            ("/api/sandbox/", Some("/api/sandbox")),
            ("/api/sandbox/?limit=1&id=/", Some("/api/sandbox?limit=1&id=/")),
            ("http://host/api/sandbox/x/start/", Some("http://host/api/sandbox/x/start")),
            ("/api/sandbox//", Some("/api/sandbox/")),
            ("/api/sandbox", None),
            ("/api/", None),
            ("/api/socket.io/?EIO=4", None),
            ("/toolbox/x/proxy/80/", None),
            ("*", None),
        ] {
            let found = without_last(&address.parse().unwrap());
            assert_eq!(found, wanted.map(|wanted| wanted.parse().unwrap()), "{address}");
        }
    }
}
