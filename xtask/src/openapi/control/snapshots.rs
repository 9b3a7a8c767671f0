//! `/snapshots`.

use pitlane_wire::control::{PaginatedSnapshots, Snapshot};

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
    ]
}
