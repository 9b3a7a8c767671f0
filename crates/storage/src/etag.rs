//! What tells two uploads under one key apart.

use std::fmt;
use std::str::FromStr;

use md5::{Digest as _, Md5};

/// The MD5 digest of an archive, or of the digests of its parts and how many they were, as S3 has it. It tells uploads
/// apart and finds accidents; it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Etag {
    digest: [u8; 16],
    /// Zero for what came in one piece.
    parts: u32,
}

/// Text that is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a tag of an archive")]
pub struct ParseEtagError;

impl Etag {
    /// The tag of what came in one piece.
    #[must_use]
    pub const fn of_digest(digest: [u8; 16]) -> Self {
        Self { digest, parts: 0 }
    }

    /// The tag of what is put together from parts with these digests.
    #[must_use]
    pub fn of_parts(digests: &[[u8; 16]]) -> Self {
        let mut whole = Md5::new();
        digests.iter().for_each(|digest| whole.update(digest));
        let parts = u32::try_from(digests.len()).unwrap_or(u32::MAX);
        Self { digest: whole.finalize().into(), parts }
    }

    /// The digest of what came in one piece.
    #[must_use]
    pub fn as_digest(&self) -> Option<[u8; 16]> {
        (self.parts == 0).then_some(self.digest)
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.digest {
            write!(f, "{byte:02x}")?;
        }
        if self.parts > 0 { write!(f, "-{}", self.parts) } else { Ok(()) }
    }
}

impl FromStr for Etag {
    type Err = ParseEtagError;

    fn from_str(text: &str) -> Result<Self, ParseEtagError> {
        let (digits, parts) = match text.split_once('-') {
            Some((digits, parts)) => (digits, parts.parse().ok().filter(|parts| *parts > 0)),
            None => (text, Some(0)),
        };
        let (Some(parts), true) = (parts, digits.len() == 32 && digits.is_ascii()) else {
            return Err(ParseEtagError);
        };
        let mut digest = [0; 16];
        for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            let Ok(value) = u8::from_str_radix(pair, 16) else { return Err(ParseEtagError) };
            *byte = value;
        }
        let etag = Self { digest, parts };
        if etag.to_string() == text { Ok(etag) } else { Err(ParseEtagError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are_written() {
        let one = Etag::of_digest([0xab; 16]);
        let two = Etag::of_parts(&[[1; 16], [2; 16]]);
        assert_eq!(one.to_string(), "ab".repeat(16));
        assert_eq!(two.to_string(), "a2178117d5e9ed5f7660ab3e6719c6a2-2");
        for etag in [one, two] {
            assert_eq!(etag.to_string().parse(), Ok(etag));
        }
        for text in
            ["", "ab", &"AB".repeat(16), &format!("{}-0", "ab".repeat(16)), &"+b".repeat(16)]
        {
            assert_eq!(text.parse::<Etag>(), Err(ParseEtagError), "{text}");
        }
    }
}
