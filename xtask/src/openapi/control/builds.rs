//! `…/build-logs`: what is written while images are built.

use pitlane_wire::control::Url;

use crate::openapi::operation::{Content, Operation, boolean};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        log(Operation::new(
            "GET /sandbox/{sandboxIdOrName}/build-logs",
            "Reads what was written while a sandbox's image was built",
        )),
        url(Operation::new(
            "GET /sandbox/{sandboxIdOrName}/build-logs-url",
            "Says where that is to be read",
        )),
        log(Operation::new(
            "GET /snapshots/{id}/build-logs",
            "Reads what was written while a snapshot's image was built",
        )),
        url(Operation::new("GET /snapshots/{id}/build-logs-url", "Says where that is to be read")),
    ]
}

fn log(operation: Operation) -> Operation {
    operation
        .query("follow", boolean(), "Whether the answer goes on until the build is over.")
        .gives(200, Content::Bytes("text/plain; charset=utf-8"), "What there is.")
        .refuses(&[404])
}

fn url(operation: Operation) -> Operation {
    operation
        .answers::<Url>(200, "The address, without a query; with the caller's key.")
        .refuses(&[404])
}
