//! The version of the library that a client uses, as far as answers depend on it.

/// A version's first two numbers; the rest never decides anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientVersion {
    major: u64,
    minor: u64,
}

impl ClientVersion {
    /// A version.
    #[must_use]
    pub const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// Reads `0.226.1`, `v0.27.0-alpha.1` and the like; `None` for what is no version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.strip_prefix('v').unwrap_or(text).split(['.', '-', '+']);
        let mut number = || {
            let digits = numbers.next()?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        Some(Self { major: number()?, minor: number()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ClientVersion;

    #[test]
    fn the_first_two_numbers_decide() {
        for (text, wanted) in [
            ("0.226.1", Some((0, 226))),
            (" v0.27.0-alpha.1 ", Some((0, 27))),
            ("1.2", Some((1, 2))),
            ("1", None),
            ("", None),
            ("a.b", None),
            ("0.+1", None),
            ("0.99999999999999999999", None),
        ] {
            let wanted = wanted.map(|(major, minor)| ClientVersion::new(major, minor));
            assert_eq!(ClientVersion::parse(text), wanted, "{text:?}");
        }
        assert!(ClientVersion::new(0, 167) < ClientVersion::new(0, 226));
        assert!(ClientVersion::new(0, 226) < ClientVersion::new(1, 0));
    }

    proptest! {
        #[test]
        fn any_numbers_are_read(major: u64, minor: u64, rest in "([.+-][a-z0-9.]{0,9})?") {
            let text = format!("{major}.{minor}{rest}");
            prop_assert_eq!(ClientVersion::parse(&text), Some(ClientVersion::new(major, minor)));
        }
    }
}
