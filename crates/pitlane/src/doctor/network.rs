//! The sandboxes' network, tried in a namespace of its own, and the server's port.

use std::net::TcpListener;

use pitlane_network::{
    Router, RouterConfig, RouterName, Uplink, forwarding_obstacles, nft_version,
};

use super::check::{Check, whole};
use crate::failure::Failure;
use crate::settings::{Settings, UplinkSetting};

pub(super) fn checks(settings: &Settings) -> Result<Vec<Check>, Failure> {
    let mut checks = vec![match nft_version() {
        Ok(version) => Check::good("nftables", version),
        Err(failure) => Check::bad("nftables", whole(&failure), "apt-get install nftables"),
    }];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    checks.push(match runtime.block_on(link(settings)) {
        Ok(()) => Check::good("links", "made a router, linked a namespace to it and removed both"),
        Err(detail) => Check::bad(
            "links",
            detail,
            "use a kernel with veth and nf_tables; in a container, let it make network namespaces",
        ),
    });
    checks.push(uplink(settings));
    Ok(checks)
}

async fn link(settings: &Settings) -> Result<(), String> {
    // Without an uplink there is nothing of it outside its own namespace.
    let config = RouterConfig {
        name: RouterName::parse("doctor").map_err(|failure| whole(&failure))?,
        subnet: settings.subnet,
        allow_private: settings.allow_private.clone(),
        uplink: Uplink::None,
        upstreams: settings.resolvers.clone(),
    };
    let router = Router::create(config).await.map_err(|failure| whole(&failure))?;
    let linked = router.link(0).await.map(drop).map_err(|failure| whole(&failure));
    router.close().await.map_err(|failure| whole(&failure))?;
    linked
}

fn uplink(settings: &Settings) -> Check {
    let name = "uplink";
    match &settings.uplink {
        UplinkSetting::None => Check::limited(
            name,
            "sandboxes will not reach the internet",
            "--uplink host lets them, through this machine",
        ),
        UplinkSetting::Namespace(path) => match std::fs::File::open(path) {
            Ok(_namespace) => Check::good(name, format!("through {}", path.display())),
            Err(cause) => Check::bad(
                name,
                format!("{}: {cause}", path.display()),
                "ip netns add NAME makes a namespace /run/netns/NAME",
            ),
        },
        UplinkSetting::Host => match forwarding_obstacles() {
            Ok(obstacles) if obstacles.is_empty() => {
                Check::good(name, "nothing on this machine drops what it forwards")
            }
            Ok(obstacles) => Check::limited(
                name,
                format!("{} may drop what sandboxes send", obstacles.join(", ")),
                "let these chains accept interfaces named pl-*",
            ),
            Err(failure) => Check::limited(name, whole(&failure), "apt-get install nftables"),
        },
    }
}

pub(super) fn port(settings: &Settings) -> Check {
    let address = settings.listen;
    match TcpListener::bind(address) {
        Ok(_free) => Check::good("port", format!("{address} is free")),
        Err(cause) => Check::limited(
            "port",
            format!("{address}: {cause}"),
            "if that is not a server of yours, --listen takes another address",
        ),
    }
}
