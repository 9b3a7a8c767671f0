//! `/docker-registry`.

use pitlane_wire::control::{CreateDockerRegistry, DockerRegistry, UpdateDockerRegistry};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /docker-registry", "Adds a registry of images with a password for it")
            .reads::<CreateDockerRegistry>()
            .answers::<DockerRegistry>(201, "The registry, without its password.")
            .refuses(&[409]),
        Operation::new("GET /docker-registry", "Lists the registries of the organization")
            .answers::<Vec<DockerRegistry>>(200, "The registries, the oldest first."),
        Operation::new("GET /docker-registry/{id}", "Reads a registry")
            .answers::<DockerRegistry>(200, "The registry, without its password.")
            .refuses(&[404]),
        Operation::new("PATCH /docker-registry/{id}", "Changes a registry")
            .reads::<UpdateDockerRegistry>()
            .answers::<DockerRegistry>(200, "The registry, without its password.")
            .refuses(&[404, 409]),
        Operation::new("DELETE /docker-registry/{id}", "Removes a registry and its password")
            .succeeds(204, "No pull uses it any more.")
            .refuses(&[404]),
    ]
}
