//! How much there may be.

use std::time::Duration;

/// The most that contexts may take, and how long they stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextLimits {
    /// Of one context, in bytes.
    pub context_bytes: u64,
    /// Of one organization's contexts and unfinished uploads, in bytes.
    pub organization_bytes: u64,
    /// Of all of them, in bytes.
    pub total_bytes: u64,
    /// Contexts of one organization.
    pub organization_contexts: usize,
    /// Unfinished uploads of one organization.
    pub organization_uploads: usize,
    /// How long an upload in parts may go without a part.
    pub upload_patience: Duration,
    /// How long a context stays that nobody uses.
    pub keep: Duration,
}

impl ContextLimits {
    /// How long a context is left alone after its last use, however much another one wants its room: the build that it
    /// was uploaded for begins soon.
    pub const GRACE: Duration = Duration::from_secs(3600);

    /// 8 GiB each, 1,000 and 32 GiB per organization, 64 GiB together; uploads may pause for an hour; contexts stay for
    /// a week.
    pub const STANDARD: Self = Self {
        context_bytes: 8 << 30,
        organization_bytes: 32 << 30,
        total_bytes: 64 << 30,
        organization_contexts: 1000,
        organization_uploads: 64,
        upload_patience: Duration::from_secs(3600),
        keep: Duration::from_secs(7 * 24 * 3600),
    };
}
