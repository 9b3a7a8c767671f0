//! Time to interactive: from the call to create a sandbox to the end of the first useful command in it.
//!
//! Through the official TypeScript SDK, as the public scoreboard of sandboxes measures it: create, a probe that tells
//! sandboxes apart, `node -v`. Beside it what the same commands take without a sandbox, and what the same calls take
//! when the sandboxes run nothing: the difference is Pitlane's. The three take turns, so that whatever else the machine
//! does meets all of them; many sandboxes at a time come after that, one server after the other.

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
    /// The commands without a sandbox.
    Bare,
    /// The calls to a server whose sandboxes run nothing.
    Calls,
    /// Sandboxes.
    Real,
}

/// The orders of the rounds, again and again: each goes first as often as the others, and comes after either of them
/// equally often, from one round to the next too. What one leaves behind then meets both others alike.
const ORDERS: [[Turn; 3]; 6] = {
    use Turn::{Bare, Calls, Real};
    [
        [Bare, Calls, Real],
        [Calls, Bare, Real],
        [Bare, Real, Calls],
        [Real, Calls, Bare],
        [Calls, Real, Bare],
        [Real, Bare, Calls],
    ]
};

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
            Turn::Bare => bare.turn()?,
            Turn::Calls => fake_sequential.append(fake_client.run(Mode::Sequential, 1)?),
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Turn; 3] = [Turn::Bare, Turn::Calls, Turn::Real];

    #[test]
    fn each_is_measured_once_in_a_round_and_goes_first_in_two_of_six() {
        for turn in ALL {
            assert!(ORDERS.iter().all(|order| order.contains(&turn)), "{turn:?}");
            assert_eq!(ORDERS.iter().filter(|order| order[0] == turn).count(), 2, "{turn:?}");
        }
    }

    #[test]
    fn each_comes_after_either_of_the_others_equally_often() {
        let turns = ORDERS.as_flattened();
        let follows = |before, after| {
            let pairs = turns.iter().zip(turns.iter().cycle().skip(1));
            pairs.filter(|&pair| pair == (&before, &after)).count()
        };
        let found = ALL.map(|before| ALL.map(|after| follows(before, after)));
        assert_eq!(found, [[0, 3, 3], [3, 0, 3], [3, 3, 0]]);
    }
}
