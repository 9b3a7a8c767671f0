//! `/warm-pools`.

use pitlane_wire::control::{CreateWarmPool, UpdateWarmPool, WarmPool};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            "POST /warm-pools",
            "Has sandboxes of a snapshot wait for whoever creates one",
        )
        .reads::<CreateWarmPool>()
        .answers::<WarmPool>(201, "The pool, which is being filled.")
        .refuses(&[404, 409]),
        Operation::new("GET /warm-pools", "Lists the warm pools of the organization")
            .answers::<Vec<WarmPool>>(200, "The pools, the oldest first."),
        Operation::new("PATCH /warm-pools/{id}", "Has another number of sandboxes wait in a pool")
            .reads::<UpdateWarmPool>()
            .answers::<WarmPool>(200, "The pool; 0 keeps it and lets none wait.")
            .refuses(&[404]),
        Operation::new("DELETE /warm-pools/{id}", "Removes a warm pool")
            .succeeds(204, "It is gone with what waited in it; sandboxes that came from it stay.")
            .refuses(&[404]),
    ]
}
