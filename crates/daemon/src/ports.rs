//! `GET /port` and `GET /port/{port}/in-use`: on which ports the sandbox's programs listen.
//!
//! What counts is a TCP socket that listens, on whatever address: what only listens on the loopback interface can be
//! reached as a preview too. Ports outside the range of previews of the reference are left out there.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader};
use std::ops::RangeInclusive;

use http::StatusCode;
use pitlane_daemon::input::listening_port;
use pitlane_wire::toolbox::{PortInUse, PortList};

use crate::http::{Answer, Refusal, json};
use crate::toolbox::Toolbox;

/// The ports that are told of.
const TOLD: RangeInclusive<u16> = 3000..=9999;

/// Where the kernel lists sockets; IPv6 may be off.
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Lists ports on which something listens.
pub(crate) async fn list(toolbox: &Toolbox) -> Answer {
    let ports = listening(toolbox).await?;
    json(StatusCode::OK, &PortList { ports: ports.into_iter().collect() })
}

/// Tells whether something listens on one port.
pub(crate) async fn is_in_use(toolbox: &Toolbox, port: &str) -> Answer {
    let Some(port) = port.parse().ok().filter(|port| TOLD.contains(port)) else {
        let (first, last) = (TOLD.start(), TOLD.end());
        return Err(Refusal::bad_request(format!("port must be a number from {first} to {last}")));
    };
    let is_in_use = listening(toolbox).await?.contains(&port);
    json(StatusCode::OK, &PortInUse { is_in_use })
}

async fn listening(toolbox: &Toolbox) -> Result<BTreeSet<u16>, Refusal> {
    // The kernel writes a line for every connection there is, which takes a while for many.
    let read = toolbox.files().run(|| {
        let mut ports = BTreeSet::new();
        for list in LISTS {
            read(list, &mut ports).map_err(|error| format!("cannot read {list}: {error}"))?;
        }
        Ok(ports)
    });
    read.await?.map_err(|message: String| Refusal::internal(message))
}

fn read(list: &str, ports: &mut BTreeSet<u16>) -> io::Result<()> {
    let file = match std::fs::File::open(list) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).lines() {
        ports.extend(listening_port(&line?).filter(|port| TOLD.contains(port)));
    }
    Ok(())
}
