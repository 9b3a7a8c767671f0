//! From where requests may come: which names of this server and which web origins are believed.
//!
//! A page of another site cannot read answers of this machine, but it can have its own name point here ("DNS rebinding")
//! and then be of the same site. So a name that the operator did not give opens nothing; an IP address, which nobody can
//! have point elsewhere, and `localhost` do.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;

use crate::settings::Settings;

/// Which names are this server's.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    names: Vec<String>,
}

impl Gate {
    pub(crate) fn new(settings: &Settings) -> Self {
        let public = settings.public_url.as_deref().and_then(|url| {
            let uri: http::Uri = url.parse().ok()?;
            uri.host().map(str::to_owned)
        });
        let names = settings.hosts.iter().cloned().chain(public);
        Self { names: names.map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether the request was made to a name of this server.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|name| host.eq_ignore_ascii_case(name))
    }
}

/// The origins whose pages may call: those of this machine, and the operator's.
pub(crate) fn origins(settings: &Settings) -> Vec<String> {
    let local = ["localhost", "127.0.0.1", "[::1]"].into_iter();
    let local =
        local.flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:*")));
    let given = settings.origins.iter().map(|origin| with_port(origin));
    local.chain(given).collect()
}

/// An origin that names no port means its scheme's own.
fn with_port(origin: &str) -> String {
    let uri: Result<http::Uri, _> = origin.parse();
    match uri {
        Ok(uri) if uri.port().is_none() && uri.scheme_str() == Some("https") => {
            format!("{}:443", origin.trim_end_matches('/'))
        }
        Ok(uri) if uri.port().is_none() && uri.scheme_str() == Some("http") => {
            format!("{}:80", origin.trim_end_matches('/'))
        }
        Ok(_) | Err(_) => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_have_point_here_are_believed() {
        let gate = Gate::new(&Settings {
            hosts: vec!["mcp.internal".into()],
            public_url: Some("https://sandboxes.example.org/x".into()),
            ..Settings::default()
        });
        let knows = |host: &'static str| {
            gate.knows(&HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]))
        };
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8001",
            "[::1]:8001",
            "192.168.1.5",
            "mcp.internal:8001",
            "sandboxes.example.org",
        ] {
            assert!(knows(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "a b"]
        {
            assert!(!knows(host), "{host}");
        }
        assert!(!gate.knows(&HeaderMap::new()));
    }

    #[test]
    fn an_origin_without_a_port_means_the_schemes_own() {
        assert_eq!(with_port("https://app.example"), "https://app.example:443");
        assert_eq!(with_port("http://app.example/"), "http://app.example:80");
        assert_eq!(with_port("http://app.example:8080"), "http://app.example:8080");
    }
}
