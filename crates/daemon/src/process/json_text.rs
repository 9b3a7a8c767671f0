//! Bytes as the inside of a JSON string, piece by piece.

/// Turns pieces of bytes into escaped text; what is not UTF-8 becomes U+FFFD, wherever the pieces were cut.
#[derive(Debug, Default)]
pub(crate) struct JsonText {
    /// The beginning of a character whose rest may be in the next piece: three bytes at most.
    incomplete: Vec<u8>,
}

impl JsonText {
    /// Appends the text of `bytes`, but for the beginning of a character at their end.
    pub(crate) fn push(&mut self, bytes: &[u8], output: &mut Vec<u8>) {
        let joined;
        let mut left = if self.incomplete.is_empty() {
            bytes
        } else {
            self.incomplete.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.incomplete);
            &joined
        };
        loop {
            match std::str::from_utf8(left) {
                Ok(text) => return escape(text, output),
                Err(error) => {
                    let (valid, rest) =
                        left.split_at_checked(error.valid_up_to()).unwrap_or((left, &[]));
                    escape(std::str::from_utf8(valid).unwrap_or_default(), output);
                    let Some(invalid) = error.error_len() else {
                        rest.clone_into(&mut self.incomplete);
                        return;
                    };
                    escape("\u{fffd}", output);
                    left = rest.get(invalid..).unwrap_or_default();
                }
            }
        }
    }

    /// Appends what is left: a character that never became whole.
    pub(crate) fn finish(self, output: &mut Vec<u8>) {
        if !self.incomplete.is_empty() {
            escape("\u{fffd}", output);
        }
    }
}

fn escape(text: &str, output: &mut Vec<u8>) {
    for part in text.split_inclusive(|character: char| needs_escape(character)) {
        match part.char_indices().next_back().filter(|(_, last)| needs_escape(*last)) {
            Some((end, last)) => {
                output.extend_from_slice(part.get(..end).unwrap_or_default().as_bytes());
                escape_one(last, output);
            }
            None => output.extend_from_slice(part.as_bytes()),
        }
    }
}

const fn needs_escape(character: char) -> bool {
    matches!(character, '"' | '\\' | '\0'..='\x1f')
}

fn escape_one(character: char, output: &mut Vec<u8>) {
    match character {
        '\n' => output.extend_from_slice(b"\\n"),
        '\r' => output.extend_from_slice(b"\\r"),
        '\t' => output.extend_from_slice(b"\\t"),
        '"' => output.extend_from_slice(b"\\\""),
        '\\' => output.extend_from_slice(b"\\\\"),
        control => output.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::JsonText;

    fn text<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut output = vec![b'"'];
        let mut text = JsonText::default();
        for piece in pieces {
            text.push(piece, &mut output);
        }
        text.finish(&mut output);
        output.push(b'"');
        serde_json::from_slice(&output).unwrap()
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_are_the_text_that_the_whole_is(
            pieces in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(b'"'), Just(b'\\')],
                0..8,
            ), 0..16),
        ) {
            let whole = pieces.concat();
            prop_assert_eq!(
                text(pieces.iter().map(Vec::as_slice)),
                String::from_utf8_lossy(&whole)
            );
        }

        #[test]
        fn any_text_stays_as_it_is(whole in any::<String>(), size in 1usize..9) {
            prop_assert_eq!(text(whole.as_bytes().chunks(size)), whole);
        }
    }
}
