//! The part of a file that a client asks for.

/// Which bytes, of how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub start: u64,
    /// How many.
    pub count: u64,
}

/// The part lies behind the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range begins behind the end")]
pub struct RangeError;

impl Range {
    /// Reads a `Range` header for something of `length` bytes: `bytes=0-9`, `bytes=5-`, `bytes=-5`. `None` stands for
    /// all of it: other units, several ranges at once and what makes no sense are not obeyed, as HTTP allows.
    ///
    /// # Errors
    ///
    /// [`RangeError`]: there is not one byte of it.
    pub fn parse(header: &str, length: u64) -> Result<Option<Self>, RangeError> {
        let Some((first, last)) = parts(header) else { return Ok(None) };
        let (start, end) = match (number(first), number(last)) {
            (Some(start), Some(last)) if start <= last => {
                (start, last.saturating_add(1).min(length))
            }
            (Some(start), None) if last.is_empty() => (start, length),
            (None, Some(count)) if first.is_empty() => (length.saturating_sub(count), length),
            _ => return Ok(None),
        };
        match end.checked_sub(start) {
            None | Some(0) => Err(RangeError),
            Some(count) => Ok(Some(Self { start, count })),
        }
    }
}

fn parts(header: &str) -> Option<(&str, &str)> {
    let (unit, range) = header.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    (unit.trim().eq_ignore_ascii_case("bytes") && !last.contains(['-', ',']))
        .then_some((first, last))
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    // A number that does not fit is behind any end.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Range, RangeError};

    #[test]
    fn ranges_are_read_as_http_says() {
        let of_ten = |header| Range::parse(header, 10);
        let some = |start, count| Ok(Some(Range { start, count }));
        for (header, wanted) in [
            ("bytes=0-3", some(0, 4)),
            ("bytes=0-0", some(0, 1)),
            ("Bytes=8-99999999999999999999999", some(8, 2)),
            ("bytes=4-", some(4, 6)),
            ("bytes=-3", some(7, 3)),
            ("bytes=-30", some(0, 10)),
            ("bytes=10-", Err(RangeError)),
            ("bytes=-0", Err(RangeError)),
            ("bytes=3-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=--1", Ok(None)),
            ("bytes=-", Ok(None)),
            ("lines=0-1", Ok(None)),
            ("", Ok(None)),
        ] {
            assert_eq!(of_ten(header), wanted, "{header}");
        }
        assert_eq!(Range::parse("bytes=0-", 0), Err(RangeError));
    }

    proptest! {
        #[test]
        fn a_range_lies_in_the_file(header in "bytes=[0-9]{0,4}-[0-9]{0,4}", length in 0u64..5000) {
            if let Ok(Some(range)) = Range::parse(&header, length) {
                prop_assert!(range.count > 0 && range.start + range.count <= length);
            }
        }
    }
}
