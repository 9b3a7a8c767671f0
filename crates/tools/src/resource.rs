//! What can be read by its address: files of sandboxes, and what commands said.
//!
//! `sandbox://ID/files/PATH` and `sandbox://ID/logs/EXECUTION`, with `?offset=N` for what follows byte N. Paths are
//! percent-encoded; one that begins with a slash is absolute, as in `sandbox://ID/files//etc/hosts`.

use std::fmt;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use pitlane_client::RequestError;

use crate::failure::Failure;
use crate::tools::Context;
use crate::{Permission, file, sandbox};

/// Of a path, what an address keeps as it is.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The media type of what is text, and of what may be anything.
const TEXT: &str = "text/plain";
const BYTES: &str = "application/octet-stream";

/// Something that was read, or a piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The address of the piece.
    pub uri: String,
    /// Its media type, as far as the name tells.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
    /// How many bytes there are in all, if known.
    pub total: Option<u64>,
    /// The address of what follows, if anything does.
    pub next: Option<String>,
}

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no address of this kind.
    #[error("{uri} is not sandbox://ID/files/PATH or sandbox://ID/logs/EXECUTION")]
    Address {
        /// The text as given.
        uri: String,
    },
    /// There is no such thing, or no longer.
    #[error("{uri} was not found: {why}")]
    NotFound {
        /// The address.
        uri: String,
        /// What is missing.
        why: String,
    },
    /// The caller may not.
    #[error("{uri} may not be read: it needs the permission {needed}")]
    Forbidden {
        /// The address.
        uri: String,
        /// What is needed.
        needed: &'static str,
    },
    /// The server did not give it.
    #[error("{uri} cannot be read: {why}")]
    Backend {
        /// The address.
        uri: String,
        /// What the server said.
        why: String,
    },
}

impl Resource {
    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// What an address names.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    sandbox: String,
    what: What,
    offset: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    File(String),
    Log(String),
}

impl Address {
    fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("sandbox://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (sandbox, rest) = rest.split_once('/')?;
        let (kind, name) = rest.split_once('/')?;
        if sandbox.is_empty() || name.is_empty() {
            return None;
        }
        let what = match kind {
            "files" => What::File(plain(name)?),
            "logs" => What::Log(name.to_owned()),
            _ => return None,
        };
        let offset = match query.split_once('=') {
            None if query.is_empty() => 0,
            Some(("offset", offset)) => offset.parse().ok()?,
            None | Some(_) => return None,
        };
        Some(Self { sandbox: plain(sandbox)?, what, offset })
    }

    fn without_offset<'a>(&self, uri: &'a str) -> &'a str {
        uri.split('?').next().unwrap_or(uri)
    }
}

fn plain(text: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned();
    (!text.contains('\0')).then_some(text)
}

/// A path as an address has it.
pub(crate) fn escaped(path: &str) -> impl fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(path, PATH)
}

/// Reads a piece, as large as the settings say for files.
pub(crate) async fn read(context: Context<'_>, uri: &str) -> Result<Resource, ReadError> {
    let (needed, has) = (Permission::Anonymous, context.settings.permission);
    if needed > has {
        return Err(ReadError::Forbidden { uri: uri.to_owned(), needed: "anonymous" });
    }
    let wrong = || ReadError::Address { uri: uri.to_owned() };
    let address = Address::parse(uri).ok_or_else(wrong)?;
    let failed = |failure: Failure| {
        let (uri, why) = (uri.to_owned(), failure.message);
        if why.ends_with("not found") {
            return ReadError::NotFound { uri, why };
        }
        ReadError::Backend { uri, why }
    };
    // Whoever cannot reach the sandbox reads nothing of it.
    let found = match &address.what {
        What::File(_) => sandbox::find_running(context, &address.sandbox).await,
        What::Log(_) => sandbox::find(context, &address.sandbox).await,
    }
    .map_err(failed)?;
    let limit = context.settings.output.file_bytes;
    let (bytes, total, is_cut) = match &address.what {
        What::File(path) => {
            let files = context.client.files(&found).map_err(|error| failed(error.into()))?;
            let read = file::window(&files, path, address.offset, limit).await;
            let read = read.map_err(|error| match error {
                RequestError::Refused { status: 404, message, .. } => {
                    ReadError::NotFound { uri: uri.to_owned(), why: message }
                }
                other => failed(other.into()),
            })?;
            (Bytes::from(read.bytes), read.total, read.is_cut)
        }
        What::Log(execution) => {
            let log = context.logs().find(&found.core.id, execution);
            let log = log.ok_or_else(|| ReadError::NotFound {
                uri: uri.to_owned(),
                why: String::from("outputs are kept until newer ones need the room"),
            })?;
            let from = address.offset.saturating_sub(log.dropped);
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(log.bytes.len());
            let to = from.saturating_add(limit).min(log.bytes.len());
            let total = log.dropped.saturating_add(crate::capture::count(log.bytes.len()));
            (log.bytes.slice(from..to), Some(total), to < log.bytes.len())
        }
    };
    let end = address.offset.saturating_add(crate::capture::count(bytes.len()));
    let next = is_cut.then(|| format!("{}?offset={end}", address.without_offset(uri)));
    let media_type = match address.what {
        What::Log(_) => TEXT,
        What::File(_) if is_text(&bytes, is_cut) => TEXT,
        What::File(_) => BYTES,
    };
    Ok(Resource { uri: uri.to_owned(), media_type, bytes, total, next })
}

/// Whether it is text; the last character may be cut.
fn is_text(bytes: &[u8], is_cut: bool) -> bool {
    !bytes.contains(&0)
        && match std::str::from_utf8(bytes) {
            Ok(_) => true,
            Err(error) => is_cut && error.error_len().is_none(),
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_names_a_sandbox_and_what_is_in_it() {
        let address = |what, offset| Some(Address { sandbox: String::from("s"), what, offset });
        let file = |path: &str| What::File(path.to_owned());
        for (uri, wanted) in [
            ("sandbox://s/files/a%20b/c", address(file("a b/c"), 0)),
            ("sandbox://s/files//etc/hosts", address(file("/etc/hosts"), 0)),
            ("sandbox://s/logs/x?offset=7", address(What::Log(String::from("x")), 7)),
            ("sandbox://s/logs/x?offset=-1", None),
            ("sandbox://s/logs/x?limit=1", None),
            ("sandbox://s/files/", None),
            ("sandbox:///files/x", None),
            ("sandbox://s/other/x", None),
            ("file:///etc/passwd", None),
            ("sandbox://s/files/%00", None),
            ("sandbox://s/files/%ff", None),
        ] {
            assert_eq!(Address::parse(uri), wanted, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_path_comes_back(path in "[^\\x00]{1,40}") {
            let uri = format!("sandbox://s/files/{}", escaped(&path));
            prop_assert_eq!(Address::parse(&uri).map(|address| address.what), Some(What::File(path)));
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            drop(Address::parse(&format!("sandbox://{text}")));
        }
    }
}
