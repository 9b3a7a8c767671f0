//! Time to interactive: from the call to create a sandbox to the end of the first useful command in it.
//!
//! Through the official TypeScript SDK, as the public scoreboard of sandboxes measures it: create, a probe that tells
//! sandboxes apart, `node -v`. Beside it what the same commands take without a sandbox, and what the same calls take
//! when the sandboxes run nothing: the difference is Pitlane's. Both without sandboxes are one turn, each command run just
//! before the call for it, since a client that comes back from 30 ms of something else is slower than one that only calls.
//! Turns with sandboxes and without follow each other, so that whatever else the machine does meets both; many sandboxes
//! at a time come after that, one server after the other.

mod bare;
mod client;

use crate::options::Options;
use crate::quiet;
use crate::results::{Interactive, Modes, Run};
use crate::server::Server;

use self::bare::Bare;
use self::client::{Client, Kind, Mode};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The commands without a sandbox, and the calls to a server whose sandboxes run nothing.
    Without,
    /// Sandboxes.
    Real,
}

/// The orders of the rounds, again and again: each goes first as often as the other.
const ORDERS: [[Turn; 2]; 2] = [[Turn::Without, Turn::Real], [Turn::Real, Turn::Without]];

/// Measures it.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Interactive> {
    let real = Server::start(options, &[])?;
    let fake = Server::start(options, &["--driver", "fake"])?;
    let mut bare = Bare::prepare(options)?;
    let mut real_client = Client::start(options, &real, Kind::Real)?;
    let mut fake_client = Client::start(options, &fake, Kind::Fake)?;
    let (mut real_sequential, mut fake_sequential) = (Run::default(), Run::default());
    // Before any burst: what the kernel frees after one would slow everybody down.
    for turn in ORDERS.iter().cycle().take(options.interactive).flatten() {
        quiet::settle().await;
        match turn {
            Turn::Without => fake_sequential.append(fake_client.run_beside(&mut bare)?),
            Turn::Real => real_sequential.append(real_client.run(Mode::Sequential, 1)?),
        }
    }
    let fake_modes = many(options, fake, fake_client, fake_sequential)?;
    let real_modes = many(options, real, real_client, real_sequential)?;
    Ok(Interactive {
        bare_probe: bare.probes,
        bare_node: bare.nodes,
        fake: fake_modes,
        real: real_modes,
    })
}

/// Measures many at a time, and stops the server.
fn many(
    options: &Options,
    server: Server,
    mut client: Client,
    sequential: Run,
) -> anyhow::Result<Modes> {
    let staggered = client.run(Mode::Staggered, options.interactive)?;
    let burst = client.run(Mode::Burst, options.interactive)?;
    client.end()?;
    server.stop()?;
    Ok(Modes { sequential, staggered, burst })
}
