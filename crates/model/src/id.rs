//! Ids: 128-bit values with the text form of a version 4 UUID (RFC 9562, section 5.4).

use std::fmt;
use std::str::FromStr;

/// Text that is not the 36-character form of a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct ParseIdError;

fn parse(text: &str) -> Result<[u8; 16], ParseIdError> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return Err(ParseIdError);
    }
    let mut bytes = [0u8; 16];
    let mut nibbles = 0usize;
    for (position, &character) in text.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if character != b'-' {
                return Err(ParseIdError);
            }
            continue;
        }
        let value = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            b'A'..=b'F' => character - b'A' + 10,
            _ => return Err(ParseIdError),
        };
        bytes[nibbles / 2] = (bytes[nibbles / 2] << 4) | value;
        nibbles += 1;
    }
    Ok(bytes)
}

fn write(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Every list has two of them in each row, and formatting byte by byte was a visible part of its time.
    let mut text = [b'-'; 36];
    let places =
        text.iter_mut().enumerate().filter(|(place, _)| !matches!(place, 8 | 13 | 18 | 23));
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    for ((_, place), digit) in places.zip(digits) {
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_impossible| fmt::Error)?)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes a version 4 UUID from 16 random bytes.
            #[must_use]
            pub const fn from_random(mut bytes: [u8; 16]) -> Self {
                bytes[6] = (bytes[6] & 0x0f) | 0x40;
                bytes[8] = (bytes[8] & 0x3f) | 0x80;
                Self(bytes)
            }

            /// The id's 16 bytes, as they are kept.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            /// Takes back what [`Self::to_bytes`] gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, f)
            }
        }
    };
}

id! {
    /// Identifies a sandbox. Daytona's SDKs branch on its UUID form.
    SandboxId
}
id! {
    /// Identifies a snapshot.
    SnapshotId
}
id! {
    /// Identifies a volume.
    VolumeId
}
id! {
    /// Identifies an organization: the owner of every row.
    OrganizationId
}
id! {
    /// Identifies an API key; it is no secret.
    KeyId
}
id! {
    /// Identifies a warm pool.
    WarmPoolId
}

id! {
    /// Identifies a registry that an organization has a password for.
    RegistryId
}
id! {
    /// Says for whom alone an image is that came with somebody's password, in no other word than this one.
    ImageOwner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = SandboxId::from_random([0xab; 16]);
        assert_eq!(id.to_string(), "abababab-abab-4bab-abab-abababababab");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "x",
            "abababab-abab-4bab-abab-ababababababa",
            "abababababab-4bab-abab-abababababab00",
            "gbababab-abab-4bab-abab-abababababab",
        ] {
            assert_eq!(text.parse::<SandboxId>(), Err(ParseIdError), "{text}");
        }
    }
}
