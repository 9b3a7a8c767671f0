//! Doors for fuzz targets into what reads callers' input. Not part of any build that serves.

use pitlane_model::OrganizationId;

/// Reads any text as the query of a list, with the cursor that may be in it.
///
/// # Panics
///
/// A cursor that the server would give out is not the one that it takes back.
pub fn list_query(text: &str) {
    crate::sandboxes::read_any_list(OrganizationId::from_bytes([7; 16]), text);
}

/// Reads any text as what follows a sandbox's id in the address of a toolbox request, signed or not.
///
/// # Panics
///
/// The caller's key would be passed on, or an operation that is the server's own.
pub fn toolbox_target(text: &str) {
    crate::toolbox::read_any_target(text);
}
