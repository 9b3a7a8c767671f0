//! Pages of a list of objects.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::xml::Element;

/// Which objects are asked for.
#[derive(Debug, Clone, Copy)]
pub struct ListQuery<'a> {
    /// What their keys begin with.
    pub prefix: &'a str,
    /// Whether keys that go on after another `/` are told once, as a folder.
    pub by_folder: bool,
    /// How many at most, of 1 to 1,000.
    pub most: u32,
    /// Where the page before ended.
    pub after: Option<&'a str>,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// How many bytes it has.
    pub size: u64,
    /// What tells this content from others.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Objects.
    pub objects: Vec<Listed>,
    /// What the keys in folders begin with.
    pub folders: Vec<String>,
    /// How many objects and folders it has that make no sense.
    pub unreadable: usize,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Page {
    /// Reads a `ListBucketResult` with encoded keys. What is no object is left out, and counted.
    pub(crate) fn read(document: &Element) -> Option<Self> {
        if document.name != "ListBucketResult" {
            return None;
        }
        let is_encoded = document.text_of("EncodingType") == Some("url");
        let key = |text: &str| {
            if is_encoded {
                // A form's encoding: what was a plus is %2B.
                let text = text.replace('+', " ");
                percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
            } else {
                Some(text.to_owned())
            }
        };
        let objects: Vec<Listed> = document
            .all("Contents")
            .filter_map(|object| {
                Some(Listed {
                    key: key(object.text_of("Key")?)?,
                    size: object.text_of("Size")?.trim().parse().ok()?,
                    etag: object.text_of("ETag").unwrap_or_default().to_owned(),
                    modified: object.text_of("LastModified")?.trim().parse().ok()?,
                })
            })
            .collect();
        let folders: Vec<String> = document
            .all("CommonPrefixes")
            .filter_map(|folder| key(folder.text_of("Prefix")?))
            .collect();
        let told =
            document.all("Contents").count().saturating_add(document.all("CommonPrefixes").count());
        let unreadable = told.saturating_sub(objects.len()).saturating_sub(folders.len());
        let is_cut = document.text_of("IsTruncated") == Some("true");
        let next = document.text_of("NextContinuationToken").filter(|next| !next.is_empty());
        if is_cut && next.is_none() {
            return None;
        }
        let next = next.filter(|_| is_cut).map(str::to_owned);
        Some(Self { objects, folders, unreadable, next })
    }
}

#[cfg(test)]
mod tests;
