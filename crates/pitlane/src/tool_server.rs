//! The MCP server's parts, put together: beside the API, as a process of its own, and for the client that started it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use pitlane_client::{Client, Endpoint, Key, RequestError};
use pitlane_mcp::{Access, AccessError, Keys, OpenWith, Server};
use pitlane_tools::Tools;

use crate::failure::Failure;
use crate::serve::VERSION;
use crate::settings::Settings;

/// Routes for a door.
type Routes = pitlane_mcp::Router;

/// The MCP server of a server: it asks the API at the address where the server itself listens, as every client does.
pub(crate) fn beside_the_api(
    settings: &Settings,
    api: SocketAddr,
) -> Result<(Server, Routes), Failure> {
    let address = SocketAddr::new(within_reach(api.ip()), api.port());
    let endpoint = Endpoint::new(&format!("http://{address}/api"), nobodys_key()?)?;
    // What stands before the server, if anything does, is not gone through.
    let client = Client::new(endpoint).with_toolboxes_at(&format!("http://{address}/toolbox"));
    let public_url = settings.public_url.as_ref().map(|url| url.as_str().to_owned());
    let told = pitlane_mcp::Settings {
        version: VERSION.to_owned(),
        public_url,
        // Each holds a place of the door and needs two more.
        max_calls: Some((settings.max_connections / 4).max(1)),
        ..settings.mcp.clone()
    };
    let server = Server::new(told, None)?;
    let tools = Tools::new(client.clone(), pitlane_tools::Settings::default());
    let keys = keys(&client, &tools, None);
    let routes = pitlane_mcp::router(&server, keys);
    Ok((server, routes))
}

/// Tools as `tools` are for whoever brings a key that the API behind `client` knows; `shared` for those that bring none.
pub(crate) fn keys(client: &Client, tools: &Tools, shared: Option<Access>) -> Arc<Keys> {
    let (client, tools) = (client.clone(), tools.clone());
    let open: OpenWith = Arc::new(move |key| {
        let (client, tools) = (client.clone(), tools.clone());
        Box::pin(async move {
            let key = Key::new(&key).map_err(|why| AccessError::Unknown(why.to_string()))?;
            let client = client.with_key(key);
            match client.current_key().await {
                // One that may not even ask who it is may still do other things, and the API says which.
                Ok(_) | Err(RequestError::Refused { status: 403 | 404 | 501, .. }) => {
                    Ok(tools.with_client(client))
                }
                Err(RequestError::Refused { status: 401, message, .. }) => {
                    Err(AccessError::Unknown(message))
                }
                Err(error) => {
                    pitlane_tools::count_backend_failure(&error);
                    Err(AccessError::Backend(Failure::from(error).reason()))
                }
            }
        })
    });
    Arc::new(Keys::new(open, shared))
}

/// Stands where a key has to; never sent.
fn nobodys_key() -> Result<Key, Failure> {
    Ok(Key::new("none")?)
}

/// An address by which this machine reaches what listens on `ip`.
fn within_reach(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
