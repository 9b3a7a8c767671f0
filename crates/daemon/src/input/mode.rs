//! Permissions in octal.

/// The text is no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mode is octal, from 0 to 7777, like 755 or 0644")]
pub struct ModeError;

/// Reads `755`, `0755` or `0o755`, and modes with setuid, setgid and sticky bits like `1777`.
///
/// # Errors
///
/// [`ModeError`] for anything else, signs and blanks included.
pub fn parse_mode(text: &str) -> Result<u32, ModeError> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = !digits.is_empty() && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| is_octal && *mode <= 0o7777);
    mode.ok_or(ModeError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ModeError, parse_mode};

    #[test]
    fn a_mode_is_octal_with_or_without_a_zero_in_front() {
        for (text, mode) in
            [("755", 0o755), ("0644", 0o644), ("0o600", 0o600), ("1777", 0o1777), ("0", 0)]
        {
            assert_eq!(parse_mode(text), Ok(mode), "{text}");
        }
        for text in ["", "8", "rwx", "+755", "-1", " 755", "10000", "0x1ff", "0o", "٧٥٥"] {
            assert_eq!(parse_mode(text), Err(ModeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_mode_is_read_as_it_is_written(mode in 0u32..=0o7777, zeros in 0usize..3) {
            prop_assert_eq!(parse_mode(&format!("{}{mode:o}", "0".repeat(zeros))), Ok(mode));
        }
    }
}
