//! Files and folders, touched with the rights of the sandbox's user and never with the daemon's own.
//!
//! The whole file system of the sandbox is the caller's, as far as the user's rights go; symbolic links are followed
//! like everywhere. Two things differ from a program of the user: the magic links of `/proc` are not followed, because
//! here they would lead into the daemon, and nothing but regular files and folders is opened, because a named pipe can
//! make a reader wait for ever.

mod asked;
mod batch;
mod change;
mod descent;
mod document;
mod download;
mod folders;
mod gradual;
mod info;
mod lines;
mod names;
mod open;
mod pool;
mod random;
mod relocation;
mod removal;
mod replace;
mod stage;
mod temporary;
mod text;
mod upload;
mod walk;

pub(crate) use change::{remove, rename, set_permissions};
pub(crate) use document::{Document, DocumentError, Search, read_document};
pub(crate) use download::{download_many, download_one};
pub(crate) use folders::make_folder;
pub(crate) use info::{info, list};
pub(crate) use names::search_names;
pub(crate) use open::is_the_kernels;
pub(crate) use pool::{Files, FilesError};
pub(crate) use replace::replace_text;
pub(crate) use temporary::TemporaryFile;
pub(crate) use text::find_text;
pub(crate) use upload::{upload_many, upload_one};
