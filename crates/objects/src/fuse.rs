//! The kernel's side: requests for files, read from its device, and answers.
//!
//! Numbers are the kernel's of protocol version 7; its text is the header `linux/fuse.h`.

mod answers;
mod requests;
mod session;

pub(crate) use session::serve;

#[cfg(test)]
mod tests;
