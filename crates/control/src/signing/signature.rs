//! What a signature covers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use pitlane_model::Timestamp;

use super::secret::keyed;

/// What stands before every signature.
const VERSION: &str = "v1_";

/// What a signature lets somebody do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// Read it.
    Download,
    /// Write it.
    Upload,
}

impl FileAction {
    /// The method that is signed.
    const fn method(self) -> &'static str {
        match self {
            Self::Download => "GET",
            Self::Upload => "POST",
        }
    }
}

/// A signature, and what it says to cover.
#[derive(Debug, Clone, Copy)]
pub struct FileSignature<'a> {
    /// What is to be done.
    pub action: FileAction,
    /// The file, exactly as the signer wrote it.
    pub path: &'a str,
    /// From which second since 1970 on it does nothing, in digits; `0` for never.
    pub expires: &'a str,
    /// The signature's text.
    pub text: &'a str,
}

impl FileSignature<'_> {
    /// Whether this key made it. How long that takes does not tell how much of it is right.
    pub(super) fn is_made_with(&self, key: &str) -> bool {
        let Self { action, path, expires, text } = self;
        let mut mac = keyed(key.as_bytes());
        for part in ["v1:files:", action.method(), ":", path, ":", expires] {
            mac.update(part.as_bytes());
        }
        let signature =
            text.strip_prefix(VERSION).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        mac.verify_slice(&signature.unwrap_or_default()).is_ok()
    }

    /// Whether its time is over. What is no time is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let is_plain = self.expires.bytes().all(|byte| byte.is_ascii_digit())
            && (self.expires == "0" || !self.expires.starts_with('0'));
        match self.expires.parse::<u64>() {
            Ok(0) if is_plain => false,
            Ok(second) if is_plain => {
                i64::try_from(second).is_ok_and(|second| second <= now.as_micros() / 1_000_000)
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/home/daytona/a b+ü:0.txt";
    /// Made with Python's `hmac`, with the key `key`, for 1800000000.
    const SIGNATURE: &str = "v1_oon8P_O_qwA4-hMLoUXOZd4gogM0fvPhVRcxwIH4Udo";

    fn signed() -> FileSignature<'static> {
        FileSignature {
            action: FileAction::Download,
            path: PATH,
            expires: "1800000000",
            text: SIGNATURE,
        }
    }

    #[test]
    fn a_signature_is_of_one_key_method_path_and_time() {
        let good = signed();
        let upload = FileSignature { action: FileAction::Upload, ..good };
        let other_path = FileSignature { path: "/home/daytona/a b+ü:0.txt ", ..good };
        let other_time = FileSignature { expires: "01800000000", ..good };
        assert!(good.is_made_with("key"));
        assert!(!good.is_made_with("kez"));
        for wrong in [upload, other_path, other_time] {
            assert!(!wrong.is_made_with("key"), "{wrong:?}");
        }
    }

    #[test]
    fn a_signature_is_written_in_one_way() {
        let bare = &SIGNATURE[VERSION.len()..];
        let texts = [
            String::new(),
            VERSION.to_owned(),
            bare.to_owned(),
            format!("v2_{bare}"),
            format!("V1_{bare}"),
            format!("{SIGNATURE}="),
            format!(" {SIGNATURE}"),
            SIGNATURE[..SIGNATURE.len() - 1].to_owned(),
            format!("{SIGNATURE}A"),
            SIGNATURE.to_ascii_lowercase(),
        ];
        for text in &texts {
            assert!(!FileSignature { text, ..signed() }.is_made_with("key"), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_in_digits_and_0_is_never() {
        let now = Timestamp::from_micros(100_999_999);
        for (expires, wanted) in [
            ("0", false),
            ("101", false),
            ("18446744073709551615", false),
            ("100", true),
            ("1", true),
            ("00", true),
            ("0101", true),
            ("+101", true),
            ("-1", true),
            ("1e9", true),
            ("101.0", true),
            ("18446744073709551616", true),
            ("", true),
        ] {
            let signature = FileSignature { expires, ..signed() };
            assert_eq!(signature.is_over(now), wanted, "{expires:?}");
        }
    }
}
