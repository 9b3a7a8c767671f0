//! Builds: what callers say of them, and what they write.

mod logs;
mod wish;

pub(crate) use self::logs::{of_sandbox, of_snapshot, url_of_sandbox, url_of_snapshot};
pub(crate) use self::wish::{Wish, of};
