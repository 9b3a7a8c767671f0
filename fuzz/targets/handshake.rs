//! What server and daemon say to each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pitlane_wire::handshake::{Boot, Hello};

fuzz_target!(|data: &[u8]| {
    if let Ok(hello) = serde_json::from_slice::<Hello>(data) {
        let text = serde_json::to_vec(&hello).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Hello>(&text).expect("and read again"), hello);
    }
    if let Ok(boot) = serde_json::from_slice::<Boot>(data) {
        let text = serde_json::to_vec(&boot).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Boot>(&text).expect("and read again"), boot);
    }
});
