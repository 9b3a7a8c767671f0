//! What lists can be asked for: filters, orders and the place where a list goes on.

mod cursor;

use pitlane_model::{Labels, SandboxId, SandboxState, Snapshot, Timestamp};

pub(crate) use self::cursor::CursorValue;
pub use self::cursor::{Cursor, ParseCursorError};

/// A range with both ends included; an end that is `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds<T> {
    /// The smallest value that passes.
    pub at_least: Option<T>,
    /// The largest value that passes.
    pub at_most: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { at_least: None, at_most: None }
    }
}

/// Which sandboxes a list shows: those that pass every part. The default passes all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SandboxFilter {
    /// How the text of the id begins, dashes and all, whatever the case.
    pub id_prefix: Option<String>,
    /// How the name begins, whatever the case of ASCII letters.
    pub name_prefix: Option<String>,
    /// Labels that it must have, all of them, with these values.
    pub labels: Labels,
    /// One of these states; empty for any.
    pub states: Vec<SandboxState>,
    /// Started from one of these snapshots, by name; empty for any.
    pub snapshots: Vec<String>,
    /// In one of these regions; empty for any.
    pub targets: Vec<String>,
    /// CPUs.
    pub cpu_count: Bounds<u32>,
    /// Memory, in GiB.
    pub memory_gib: Bounds<u32>,
    /// Disk, in GiB.
    pub disk_gib: Bounds<u32>,
    /// Whether its previews are open to anyone.
    pub is_public: Option<bool>,
    /// When it was accepted.
    pub created_at: Bounds<Timestamp>,
    /// When a caller last used it.
    pub last_activity_at: Bounds<Timestamp>,
    /// When it goes by itself; only those that do pass a bound.
    pub auto_destroy_at: Bounds<Timestamp>,
    /// Whether it failed and can be mended.
    pub is_recoverable: Option<bool>,
    /// Whether those are shown as well that failed on their way out.
    pub shows_failed_deletions: bool,
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortDirection {
    /// Small, early and A first.
    Ascending,
    /// Large, late and Z first.
    Descending,
}

/// What a list of sandboxes is sorted by; equals are sorted by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortField {
    /// Its name, byte by byte.
    Name,
    /// CPUs.
    CpuCount,
    /// Memory.
    MemoryGib,
    /// Disk.
    DiskGib,
    /// When a caller last used it.
    LastActivityAt,
    /// When it was accepted.
    CreatedAt,
}

/// The order of a list of sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SandboxOrder {
    /// By what.
    pub field: SortField,
    /// Which way.
    pub direction: SortDirection,
}

impl SandboxOrder {
    /// The most recently used first.
    pub const DEFAULT: Self =
        Self { field: SortField::LastActivityAt, direction: SortDirection::Descending };
}

/// A sandbox in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSandbox {
    /// Which.
    pub id: SandboxId,
    /// When it was last used, as far as its place in the list goes.
    pub last_activity_at: Timestamp,
}

/// A stretch of a list of sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPage<T = ListedSandbox> {
    /// The sandboxes.
    pub items: Vec<T>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

/// A numbered page of a list of sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSlice<T = ListedSandbox> {
    /// The sandboxes.
    pub items: Vec<T>,
    /// How many the whole list has.
    pub total: u64,
}

/// Which snapshots a list shows. The default shows all that the organization may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotFilter {
    /// A part of the name, whatever the case of ASCII letters.
    pub name_part: Option<String>,
    /// The sandbox that they were taken of.
    pub source_sandbox: Option<SandboxId>,
}

/// What a list of snapshots is sorted by; equals are sorted by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotSortField {
    /// Its name.
    Name,
    /// Where it stands, by the word of the state.
    State,
    /// When a sandbox last started from it; never is earliest.
    LastUsedAt,
    /// When it was added.
    CreatedAt,
}

/// The order of a list of snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SnapshotSort {
    /// By what.
    pub field: SnapshotSortField,
    /// Which way.
    pub direction: SortDirection,
}

impl SnapshotSort {
    /// The most recently used first.
    pub const DEFAULT: Self =
        Self { field: SnapshotSortField::LastUsedAt, direction: SortDirection::Descending };
}

/// A numbered page of a list of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSlice {
    /// The snapshots.
    pub items: Vec<Snapshot>,
    /// How many the whole list has.
    pub total: u64,
}
