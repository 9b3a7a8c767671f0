//! Subprotocols of a terminal's client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_daemon::input::Offer;

fuzz_target!(|offered: Vec<&str>| {
    if let Ok(offer) = Offer::read(offered.iter().copied()) {
        assert_eq!(offer.spoken.is_some(), !offered.is_empty());
        assert!(offer.spoken.is_none_or(|spoken| offered.contains(&spoken.as_str())));
    }
});
