//! What survives a restart: SQLite and its migrations.
//!
//! One file in WAL mode, one thread that writes and one that reads; async callers wait for answers, never for a lock.
//! A write that was acknowledged survives the end of this process. What must survive a power cut as well (keys,
//! organizations, snapshots) is synced before it is acknowledged; rows of sandboxes are not, since sandboxes do not
//! survive one either. Knows no rules: what may change into what is decided above.
#![forbid(unsafe_code)]

mod error;
mod keys;
mod list;
mod migrations;
mod pools;
mod previews;
mod probe;
mod registries;
mod row;
mod sandboxes;
mod signing;
mod snapshots;
mod store;
mod story;
mod volumes;
mod worker;

pub use error::{OpenError, ReadError, WriteError};
pub use list::{
    Bounds, Cursor, ListedSandbox, ParseCursorError, SandboxFilter, SandboxOrder, SandboxPage,
    SandboxSlice, SnapshotFilter, SnapshotSlice, SnapshotSort, SnapshotSortField, SortDirection,
    SortField,
};
pub use previews::{PreviewSecret, PreviewToken};
pub use sandboxes::StoredSandbox;
pub use signing::SigningSalt;
pub use store::Store;
