//! A JSON array of objects, taken apart as it comes: no more than one object is ever held.

/// The longest object: a path of the kernel's longest kind, escaped as wastefully as JSON can, and some more.
const MAX_ELEMENT_BYTES: usize = 256 << 10;

/// Takes an array apart.
#[derive(Debug, Default)]
pub(super) struct Elements {
    buffer: Vec<u8>,
    /// How much of the buffer is behind us.
    taken: usize,
    /// How much of the buffer was looked at.
    seen: usize,
    place: Place,
    depth: u32,
    in_string: bool,
    is_escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    Inside,
    After,
}

/// Why bytes are no array of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ElementsError {
    /// Something stands where nothing may.
    #[error("a list of objects was expected, and not byte {0:#04x}")]
    Unexpected(u8),
    /// An object that cannot be one of a file.
    #[error("an entry of the list is longer than {MAX_ELEMENT_BYTES} bytes")]
    TooLong,
    /// The end came first.
    #[error("the list ended in the middle")]
    Cut,
}

impl Elements {
    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next object's text; `None` if more must come first.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ElementsError> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if self.depth > 0 {
                if self.is_end(byte) {
                    let element = self.buffer.get(self.taken..self.seen).unwrap_or_default();
                    self.taken = self.seen;
                    return Ok(Some(element));
                }
                if self.seen - self.taken > MAX_ELEMENT_BYTES {
                    return Err(ElementsError::TooLong);
                }
                continue;
            }
            match (self.place, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => {}
                (Place::Before, b'[') => self.place = Place::Inside,
                (Place::Inside, b'{') => {
                    self.depth = 1;
                    self.taken = self.seen - 1;
                    continue;
                }
                (Place::Inside, b',') => {}
                (Place::Inside, b']') => self.place = Place::After,
                (Place::Before | Place::Inside | Place::After, other) => {
                    return Err(ElementsError::Unexpected(other));
                }
            }
            self.taken = self.seen;
        }
        Ok(None)
    }

    /// Nothing more comes.
    pub(super) fn finish(&self) -> Result<(), ElementsError> {
        if self.place == Place::After { Ok(()) } else { Err(ElementsError::Cut) }
    }

    /// Whether an object ends with this byte, which is inside it.
    fn is_end(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects of `text`, which comes in pieces of `size` bytes.
    fn taken_apart(text: &str, size: usize) -> Result<Vec<String>, ElementsError> {
        let (mut elements, mut objects) = (Elements::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            elements.push(piece);
            while let Some(object) = elements.next()? {
                objects.push(String::from_utf8(object.to_vec()).unwrap());
            }
        }
        elements.finish().map(|()| objects)
    }

    #[test]
    fn objects_are_found_however_they_are_cut() {
        let text = r#" [ {"a":"}]\"{"} ,{"b":[{},[1]]},{"c":"\\"}] "#;
        let wanted = [r#"{"a":"}]\"{"}"#, r#"{"b":[{},[1]]}"#, r#"{"c":"\\"}"#];
        for size in 1..=text.len() {
            assert_eq!(taken_apart(text, size).unwrap(), wanted, "in pieces of {size}");
        }
        assert_eq!(taken_apart("[]", 1), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_complete_list_of_objects_is_refused() {
        for text in ["", "[", "[{}", "[{", "[{},", "[{\"a\":\"}]"] {
            assert_eq!(taken_apart(text, 3), Err(ElementsError::Cut), "{text}");
        }
        for (text, byte) in [("{}", b'{'), ("[1]", b'1'), ("[]x", b'x'), ("<html>", b'<')] {
            assert_eq!(taken_apart(text, 3), Err(ElementsError::Unexpected(byte)), "{text}");
        }
    }

    #[test]
    fn an_object_without_end_is_not_held() {
        let endless = format!("[{{\"name\":\"{}", "a".repeat(MAX_ELEMENT_BYTES));
        assert_eq!(taken_apart(&endless, 4096), Err(ElementsError::TooLong));
    }
}
