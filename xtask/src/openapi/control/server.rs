//! What a server says of itself.

use pitlane_wire::control::{Configuration, Health, Readiness};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET /health", "Tells whether the server answers")
            .answers::<Health>(200, "It does."),
        Operation::new("GET /health/ready", "Tells whether the server can do its work")
            .answers::<Readiness>(200, "It can.")
            .answers::<Readiness>(503, "It cannot, and this is why."),
        Operation::new("GET /config", "Reads what clients have to know of the server")
            .answers::<Configuration>(200, "Its configuration."),
    ]
}
