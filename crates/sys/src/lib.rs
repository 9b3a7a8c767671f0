//! System calls made safe.
//!
//! The one crate with unsafe code: namespaces, mounts, cgroups, pidfds, seccomp, processes and descriptor passing, each
//! behind a function whose signature cannot be misused. It decides nothing: policy lives in its callers.
