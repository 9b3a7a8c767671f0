//! `/sandbox/{idOrName}/ports/{port}/…`.

use pitlane_wire::control::{PortPreviewUrl, SignedPortPreviewUrl};

use crate::openapi::operation::{Operation, integer};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            "GET /sandbox/{sandboxIdOrName}/ports/{port}/preview-url",
            "Tells where a port inside a sandbox can be reached, and what opens it until the sandbox stops",
        )
        .answers::<PortPreviewUrl>(200, "The address and the token.")
        .refuses(&[404]),
        Operation::new(
            "GET /sandbox/{sandboxIdOrName}/ports/{port}/signed-preview-url",
            "Makes an address that opens a port inside a sandbox for a while",
        )
        .query("expiresInSeconds", integer(1, 86_400), "For how long; 60 if it is left out.")
        .answers::<SignedPortPreviewUrl>(200, "The address, with a token in it.")
        .refuses(&[404]),
        Operation::new(
            "POST /sandbox/{sandboxIdOrName}/ports/{port}/signed-preview-url/{token}/expire",
            "Revokes such an address; what was opened with it ends",
        )
        .succeeds(200, "It opens nothing any more.")
        .refuses(&[404]),
    ]
}
