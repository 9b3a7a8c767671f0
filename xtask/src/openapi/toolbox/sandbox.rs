//! What a daemon says of its sandbox.

use std::collections::BTreeMap;

use pitlane_wire::toolbox::{
    Directory, InitializeRequest, PortInUse, PortList, SystemMetrics, UpdateEnvironment, Version,
};

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
        Operation::new("GET /system/metrics", "Tells what the sandbox uses, of what it may use")
            .answers::<SystemMetrics>(200, "The numbers of this moment."),
        Operation::new("GET /port", "Lists ports on which programs listen")
            .answers::<PortList>(200, "Those from 3000 to 9999."),
        Operation::new("GET /port/{port}/in-use", "Tells whether a program listens on a port")
            .answers::<PortInUse>(200, "Whether one does."),
        Operation::new("POST /init", "Takes a credential that Pitlane's daemon has no use for")
            .reads::<InitializeRequest>()
            .answers::<BTreeMap<String, String>>(200, "A word about that."),
    ]
}

fn folder(key: &'static str, summary: &'static str) -> Operation {
    Operation::new(key, summary).answers::<Directory>(200, "The folder.")
}
