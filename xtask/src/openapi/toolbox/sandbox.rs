//! What a daemon says of its sandbox.

use std::collections::BTreeMap;

use pitlane_wire::toolbox::{Directory, UpdateEnvironment, Version};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET /version", "Tells the daemon's version")
            .answers::<Version>(200, "The version."),
        folder("GET /work-dir", "Tells where commands and relative paths start"),
        folder("GET /user-home-dir", "Tells the home of the sandbox's user"),
        folder("GET /project-dir", "Tells the home of the sandbox's user, to old clients"),
        Operation::new("POST /env", "Changes the variables of processes that start from now on")
            .reads::<UpdateEnvironment>()
            .answers::<BTreeMap<String, String>>(200, "All variables, as they are now."),
    ]
}

fn folder(key: &'static str, summary: &'static str) -> Operation {
    Operation::new(key, summary).answers::<Directory>(200, "The folder.")
}
