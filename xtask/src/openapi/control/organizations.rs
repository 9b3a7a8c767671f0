//! `/organizations`.

use pitlane_wire::control::{CreateOrganization, Organization};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /organizations", "Creates an organization; for operators")
            .reads::<CreateOrganization>()
            .answers::<Organization>(201, "The organization, which owns nothing yet.")
            .refuses(&[409]),
        Operation::new("GET /organizations", "Lists the organizations that the caller may know of")
            .answers::<Vec<Organization>>(200, "The caller's own; all of them for an operator."),
        Operation::new("GET /organizations/{organizationId}", "Reads an organization")
            .answers::<Organization>(200, "The organization.")
            .refuses(&[404]),
        Operation::new(
            "DELETE /organizations/{organizationId}",
            "Deletes an organization that owns nothing but keys; for operators",
        )
        .succeeds(204, "It is gone, and its keys work no more.")
        .refuses(&[404, 409]),
    ]
}
