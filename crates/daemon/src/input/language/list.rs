//! Lists of which only the beginning is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::MAX_ENTRIES;

/// The first entries of a list, unread.
#[derive(Debug, Default)]
pub(super) struct Beginning<'a> {
    pub(super) entries: Vec<&'a RawValue>,
    /// Whether there were more.
    pub(super) is_cut: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Beginning<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Beginning<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut found = Beginning::default();
                while found.entries.len() < MAX_ENTRIES {
                    match list.next_element()? {
                        Some(entry) => found.entries.push(entry),
                        None => return Ok(found),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    found.is_cut = true;
                }
                Ok(found)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

/// A value of a certain kind, if it is one.
pub(super) fn of<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}
