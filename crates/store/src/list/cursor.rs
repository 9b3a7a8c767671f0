//! The place where a list goes on.
//!
//! A cursor holds the sort value and the id of the last sandbox shown, so that a list neither repeats nor skips one
//! whose sort value stays; rows that come and go in between do not move it. One whose sort value changes while the
//! list is read (its last activity, say) is shown where it then stands.

use std::fmt;
use std::str::FromStr;

use pitlane_model::SandboxId;

use super::{SandboxOrder, SortDirection, SortField};

/// Where a list of sandboxes goes on. Its text is opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(crate) order: SandboxOrder,
    pub(crate) value: CursorValue,
    pub(crate) id: SandboxId,
}

/// The sort value of the last row shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CursorValue {
    Number(i64),
    Text(String),
}

/// A text that no list gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct ParseCursorError;

impl Cursor {
    /// The order of the list it was taken from; it means nothing to a list in another order.
    #[must_use]
    pub const fn order(&self) -> SandboxOrder {
        self.order
    }
}

const FIELDS: [(SortField, &str); 6] = [
    (SortField::Name, "n"),
    (SortField::CpuCount, "c"),
    (SortField::MemoryGib, "m"),
    (SortField::DiskGib, "d"),
    (SortField::LastActivityAt, "l"),
    (SortField::CreatedAt, "t"),
];

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, word) in FIELDS {
            if field == self.order.field {
                f.write_str(word)?;
            }
        }
        f.write_str(match self.order.direction {
            SortDirection::Ascending => "a",
            SortDirection::Descending => "d",
        })?;
        match &self.value {
            CursorValue::Number(number) => write!(f, "_{number}")?,
            CursorValue::Text(text) => {
                f.write_str("_x")?;
                for byte in text.bytes() {
                    write!(f, "{byte:02x}")?;
                }
            }
        }
        write!(f, "_{}", self.id)
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let mut parts = text.split('_');
        let (Some(order), Some(value), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseCursorError);
        };
        let (field, direction) = order.split_at_checked(1).ok_or(ParseCursorError)?;
        let (field, _) =
            FIELDS.into_iter().find(|(_, word)| *word == field).ok_or(ParseCursorError)?;
        let direction = match direction {
            "a" => SortDirection::Ascending,
            "d" => SortDirection::Descending,
            _ => return Err(ParseCursorError),
        };
        let value = match (field, value.strip_prefix('x')) {
            (SortField::Name, Some(digits)) => CursorValue::Text(text_of(digits)?),
            (SortField::Name, None) | (_, Some(_)) => return Err(ParseCursorError),
            (_, None) => CursorValue::Number(value.parse().ok().ok_or(ParseCursorError)?),
        };
        let id = id.parse().ok().ok_or(ParseCursorError)?;
        Ok(Self { order: SandboxOrder { field, direction }, value, id })
    }
}

/// Text from the hexadecimal digits of its bytes.
fn text_of(digits: &str) -> Result<String, ParseCursorError> {
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let [high, low] = pair else { return None };
            let high = char::from(*high).to_digit(16)?;
            let low = char::from(*low).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect();
    String::from_utf8(bytes.ok_or(ParseCursorError)?).ok().ok_or(ParseCursorError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(field: SortField, value: CursorValue) -> Cursor {
        let order = SandboxOrder { field, direction: SortDirection::Descending };
        Cursor { order, value, id: SandboxId::from_random([7; 16]) }
    }

    #[test]
    fn a_cursor_reads_back_what_it_prints() {
        for cursor in [
            cursor(SortField::Name, CursorValue::Text("naïve_name -x".to_owned())),
            cursor(SortField::Name, CursorValue::Text(String::new())),
            cursor(SortField::CreatedAt, CursorValue::Number(-5)),
            cursor(SortField::CpuCount, CursorValue::Number(i64::MAX)),
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn other_text_is_refused() {
        let id = SandboxId::from_random([7; 16]);
        for text in [
            String::new(),
            "x".to_owned(),
            "é".to_owned(),
            format!("td_5_{id}_"),
            format!("td_x35_{id}"),
            format!("nd_5_{id}"),
            format!("nd_x3_{id}"),
            format!("nd_xff_{id}"),
            format!("zd_5_{id}"),
            format!("tz_5_{id}"),
            "td_5_nothing".to_owned(),
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(ParseCursorError), "{text}");
        }
    }
}
