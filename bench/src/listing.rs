//! The list of many sandboxes.
//!
//! Sandboxes of the fake driver, which run nothing: their rows are the same, and so is everything that a list touches.

use std::time::Instant;

use anyhow::ensure;

use crate::connection::Connection;
use crate::options::Options;
use crate::quiet;
use crate::results::Listing;
use crate::samples::Samples;
use crate::server::Server;

/// Measures the whole list, page after page.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Listing> {
    let server = Server::start(options, &["--driver", "fake"])?;
    let mut connection = Connection::open(&server).await?;
    for _ in 0..options.listed {
        connection.create().await?;
    }
    let mut listing = Listing { sandboxes: options.listed, pages: 0, whole: Samples::default() };
    for number in 0..options.rounds + 2 {
        quiet::settle().await;
        let started = Instant::now();
        let (items, pages) = connection.list().await?;
        let took = started.elapsed();
        ensure!(items == options.listed, "the list has {items} of {} sandboxes", options.listed);
        listing.pages = pages;
        // Two go ahead.
        if number >= 2 {
            listing.whole.push(took);
        }
    }
    drop(connection);
    server.stop()?;
    Ok(listing)
}
