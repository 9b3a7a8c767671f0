//! `/object-storage`.

use pitlane_wire::control::StorageAccess;

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            "GET /object-storage/push-access",
            "Gives a key for uploading build contexts with an S3 client, for an hour",
        )
        .answers::<StorageAccess>(200, "The key, and where it opens."),
    ]
}
