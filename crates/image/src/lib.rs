//! Root filesystems: the default image, its Debian bootstrap and its cache.
#![forbid(unsafe_code)]
