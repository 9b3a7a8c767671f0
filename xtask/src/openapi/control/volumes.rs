//! `/volumes`.

use pitlane_wire::control::{CreateVolume, VolumeDto};

use crate::openapi::operation::{Operation, boolean};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("GET /volumes", "Lists volumes, the newest first")
            .query(
                "includeDeleted",
                boolean(),
                "Whether those are listed that were deleted lately.",
            )
            .answers::<Vec<VolumeDto>>(200, "The volumes."),
        Operation::new("POST /volumes", "Makes a volume")
            .reads::<CreateVolume>()
            .answers::<VolumeDto>(200, "The volume, which may not be ready yet."),
        Operation::new("GET /volumes/{volumeId}", "Reads a volume, by its id")
            .answers::<VolumeDto>(200, "The volume.")
            .refuses(&[404]),
        Operation::new("GET /volumes/by-name/{name}", "Reads a volume, by its name")
            .answers::<VolumeDto>(200, "The volume.")
            .refuses(&[404]),
        Operation::new("DELETE /volumes/{volumeId}", "Removes a volume with all that is in it")
            .succeeds(200, "It is on its way out.")
            .refuses(&[400, 404, 409]),
    ]
}
