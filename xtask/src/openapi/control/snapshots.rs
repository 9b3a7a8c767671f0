//! `/snapshots`.

use pitlane_wire::control::{CreateSnapshot, PaginatedSnapshots, Snapshot};

use crate::openapi::operation::{Operation, integer, one_of, text};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET /snapshots", "Lists what sandboxes can start from")
            .query("page", integer(1, u32::MAX), "Which page, from 1.")
            .query(
                "limit",
                integer(1, u32::MAX),
                "How many at most; the server has a limit of its own.",
            )
            .query("name", text(), "A part of names.")
            .query("sourceSandboxId", text(), "The sandbox they were taken of.")
            .query(
                "sort",
                one_of(&["name", "state", "lastUsedAt", "createdAt"]),
                "What orders them.",
            )
            .query("order", one_of(&["asc", "desc"]), "In which direction.")
            .answers::<PaginatedSnapshots>(200, "A page."),
        Operation::new("GET /snapshots/{id}", "Reads a snapshot, by its id or name")
            .answers::<Snapshot>(200, "The snapshot.")
            .refuses(&[404]),
        Operation::new("POST /snapshots", "Makes a snapshot of an image")
            .reads::<CreateSnapshot>()
            .answers::<Snapshot>(200, "The snapshot; its image may be on its way.")
            .refuses(&[409]),
        Operation::new("DELETE /snapshots/{id}", "Removes a snapshot")
            .succeeds(200, "It is gone; its sandboxes stay.")
            .refuses(&[404]),
        Operation::new("POST /snapshots/{id}/activate", "Lets sandboxes start from it again")
            .answers::<Snapshot>(200, "The snapshot; its image may be on its way.")
            .refuses(&[400, 404]),
        Operation::new("POST /snapshots/{id}/deactivate", "Keeps sandboxes from starting from it")
            .succeeds(204, "None starts from it.")
            .refuses(&[400, 404]),
    ]
}
