//! What a server says when it is ready: where it is, where the key is, and what to type next.

use std::io::{IsTerminal as _, stdout};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use pitlane_control::KeyText;
use serde::Serialize;

use super::StateFolder;
use crate::failure::Failure;
use crate::output::Format;
use crate::settings::{Settings, UplinkSetting};

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) api: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
}

/// The line that a program reads.
#[derive(Debug, Serialize)]
struct Ready {
    url: String,
    key_file: PathBuf,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    #[serde(skip)]
    key: Option<String>,
    #[serde(skip)]
    has_uplink: bool,
}

/// Says that the server is ready.
pub(super) fn ready(
    settings: &Settings,
    folder: &StateFolder,
    addresses: Addresses,
    first_key: Option<&KeyText>,
    format: Format,
) -> Result<(), Failure> {
    let address = addresses.api;
    let url = format!("http://{}/api", reachable(address));
    folder.keep_address(&url)?;
    tracing::info!(%address, "ready");
    let ready = Ready {
        url,
        key_file: folder.key_file(),
        version: super::VERSION,
        metrics: addresses.metrics.map(|at| format!("http://{}/metrics", reachable(at))),
        // Once, and to a person: a key in a file of logs is a key lost.
        key: first_key.filter(|_| stdout().is_terminal()).map(|key| key.expose().to_owned()),
        has_uplink: settings.uplink != UplinkSetting::None,
    };
    format.write(&ready, text)
}

fn text(ready: &Ready) -> String {
    let Ready { url, key_file, version, metrics, key, has_uplink } = ready;
    let metrics = metrics.as_ref().map_or(String::new(), |url| format!("  metrics  {url}\n"));
    let key_file = key_file.display();
    let key = match key {
        Some(key) => format!("{key}   (shown once; kept in {key_file})"),
        None => format!("in {key_file}"),
    };
    let network = if *has_uplink {
        ""
    } else {
        "\nSandboxes have no way to the internet: --uplink host gives them one.\n"
    };
    format!(
        "\nPitlane {version} is ready.\n\n  \
           API  {url}\n  \
           key  {key}\n{metrics}\n\
         Next, in another terminal:\n\n  \
           export DAYTONA_API_URL={url}\n  \
           export DAYTONA_API_KEY=\"$(cat {key_file})\"\n  \
           echo 'print(6 * 7)' | pitlane run -\n{network}\n"
    )
}

/// The address as this machine reaches it: one that stands for all addresses is no address to connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(key: Option<&str>, has_uplink: bool) -> String {
        text(&Ready {
            url: "http://127.0.0.1:3986/api".to_owned(),
            key_file: "/var/lib/pitlane/admin-key".into(),
            version: "1.2.3",
            metrics: None,
            key: key.map(str::to_owned),
            has_uplink,
        })
    }

    #[test]
    fn the_first_start_ends_with_url_key_and_the_next_command() {
        insta::assert_snapshot!(said(Some("dtn_abc"), false));
    }

    #[test]
    fn a_later_start_does_not_show_the_key() {
        insta::assert_snapshot!(said(None, true));
    }

    #[test]
    fn a_program_reads_one_line_without_the_key() {
        let ready = Ready {
            url: "http://127.0.0.1:1/api".to_owned(),
            key_file: "/s/admin-key".into(),
            version: "1.2.3",
            metrics: None,
            key: Some("dtn_abc".to_owned()),
            has_uplink: true,
        };
        let line =
            r#"{"url":"http://127.0.0.1:1/api","key_file":"/s/admin-key","version":"1.2.3"}"#;
        assert_eq!(serde_json::to_string(&ready).unwrap(), line);
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_loopback() {
        let reached = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"]
            .map(|given| reachable(given.parse().unwrap()).to_string());
        assert_eq!(reached, ["127.0.0.1:1", "[::1]:1", "10.0.0.1:1"]);
    }
}
