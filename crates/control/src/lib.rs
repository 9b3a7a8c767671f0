//! What the platform does: sandboxes, snapshots, keys and their life cycles; no HTTP, no SQL.
#![forbid(unsafe_code)]
