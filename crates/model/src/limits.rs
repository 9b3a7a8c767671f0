//! What a sandbox may use at most.

/// A sandbox's limits: caps, not reservations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    cpu_count: u32,
    memory_gib: u32,
    disk_gib: u32,
    process_count: u32,
}

/// Why limits were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// A resource must be at least one.
    #[error("{resource} must be at least 1")]
    TooSmall {
        /// `cpu`, `memory`, `disk` or `processes`.
        resource: &'static str,
    },
    /// More than one sandbox may have.
    #[error("{resource} {requested} exceeds the maximum of {maximum} per sandbox")]
    TooLarge {
        /// `cpu`, `memory`, `disk` or `processes`.
        resource: &'static str,
        /// What was asked for.
        requested: u32,
        /// What one sandbox may have.
        maximum: u32,
    },
}

impl Limits {
    /// 1 CPU, 1 GiB of memory, 3 GiB of disk, 1,024 processes.
    pub const DEFAULT: Self =
        Self { cpu_count: 1, memory_gib: 1, disk_gib: 3, process_count: 1024 };
    /// The default maximum: 4 CPUs, 8 GiB of memory, 10 GiB of disk, 8,192 processes.
    pub const MAXIMUM: Self =
        Self { cpu_count: 4, memory_gib: 8, disk_gib: 10, process_count: 8192 };

    /// Limits from numbers that are each at least 1.
    ///
    /// # Errors
    ///
    /// [`LimitError::TooSmall`] names the resource.
    pub fn new(
        cpu_count: u32,
        memory_gib: u32,
        disk_gib: u32,
        process_count: u32,
    ) -> Result<Self, LimitError> {
        let limits = Self { cpu_count, memory_gib, disk_gib, process_count };
        match limits.named().into_iter().find(|(_, value)| *value == 0) {
            Some((resource, _)) => Err(LimitError::TooSmall { resource }),
            None => Ok(limits),
        }
    }

    /// Checks that no resource exceeds `maximum`.
    ///
    /// # Errors
    ///
    /// [`LimitError::TooLarge`] names the first resource that does.
    pub fn check_within(self, maximum: Self) -> Result<(), LimitError> {
        for ((resource, requested), (_, maximum)) in self.named().into_iter().zip(maximum.named()) {
            if requested > maximum {
                return Err(LimitError::TooLarge { resource, requested, maximum });
            }
        }
        Ok(())
    }

    const fn named(self) -> [(&'static str, u32); 4] {
        [
            ("cpu", self.cpu_count),
            ("memory", self.memory_gib),
            ("disk", self.disk_gib),
            ("processes", self.process_count),
        ]
    }

    /// CPUs' worth of time.
    #[must_use]
    pub const fn cpu_count(self) -> u32 {
        self.cpu_count
    }

    /// Memory, in GiB (2^30 bytes).
    #[must_use]
    pub const fn memory_gib(self) -> u32 {
        self.memory_gib
    }

    /// Disk, in GiB (2^30 bytes).
    #[must_use]
    pub const fn disk_gib(self) -> u32 {
        self.disk_gib
    }

    /// Processes and threads.
    #[must_use]
    pub const fn process_count(self) -> u32 {
        self.process_count
    }
}
