//! `/api-keys`.

use pitlane_wire::control::{ApiKeyItem, CreateApiKey, CreatedApiKey};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /api-keys", "Creates a key")
            .reads::<CreateApiKey>()
            .answers::<CreatedApiKey>(201, "The key; its text is told here and never again.")
            .refuses(&[409]),
        Operation::new("GET /api-keys", "Lists the organization's keys")
            .answers::<Vec<ApiKeyItem>>(200, "All of them."),
        Operation::new("GET /api-keys/current", "Reads the key that the request came with")
            .answers::<ApiKeyItem>(200, "That key."),
        Operation::new("GET /api-keys/{name}", "Reads a key")
            .answers::<ApiKeyItem>(200, "The key, without its text.")
            .refuses(&[404]),
        Operation::new("DELETE /api-keys/{name}", "Revokes a key, at once and everywhere")
            .succeeds(204, "It is revoked.")
            .refuses(&[404]),
        Operation::new(
            "DELETE /api-keys/{userId}/{name}",
            "Revokes a key by whose it is, as a list names that",
        )
        .succeeds(204, "It is revoked.")
        .refuses(&[404]),
    ]
}
