//! The way out of a terminal that does not answer: `~.` at the beginning of a line, as in other programs of this kind.

use bytes::Bytes;

/// What was typed so far on this line, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Escape {
    /// Nothing.
    #[default]
    LineStart,
    /// A tilde, which was not passed on yet.
    Tilde,
    /// Something else.
    Inside,
}

/// What becomes of what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// It is passed on.
    Bytes(Bytes),
    /// The user wants to leave.
    Leave,
}

impl Escape {
    /// Takes what was typed.
    pub(super) fn take(&mut self, typed: &[u8]) -> Typed {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for byte in typed {
            match (*self, byte) {
                (Self::Tilde, b'.') => return Typed::Leave,
                (Self::LineStart, b'~') => {
                    *self = Self::Tilde;
                    continue;
                }
                // Twice for once.
                (Self::Tilde, b'~') => {}
                (Self::Tilde, _) => passed.push(b'~'),
                (Self::LineStart | Self::Inside, _) => {}
            }
            passed.push(*byte);
            *self = match byte {
                b'\r' | b'\n' => Self::LineStart,
                _ => Self::Inside,
            };
        }
        Typed::Bytes(passed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Escape, Typed};

    fn take(pieces: &[&str]) -> Vec<Typed> {
        let mut escape = Escape::default();
        pieces.iter().map(|piece| escape.take(piece.as_bytes())).collect()
    }

    fn passed(text: &str) -> Typed {
        Typed::Bytes(text.to_owned().into())
    }

    #[test]
    fn a_tilde_and_a_dot_at_the_beginning_of_a_line_leave() {
        for pieces in [&["~."][..], &["~", "."], &["ls\r~."], &["x\n", "~", "."]] {
            assert_eq!(take(pieces).pop(), Some(Typed::Leave), "{pieces:?}");
        }
    }

    #[test]
    fn everything_else_is_passed_on() {
        assert_eq!(take(&["a~.", "~", "."]), [passed("a~."), passed("~"), passed(".")]);
        assert_eq!(take(&["~", "/x"]), [passed(""), passed("~/x")]);
        assert_eq!(take(&["~~", "."]), [passed("~"), passed(".")]);
        assert_eq!(take(&["~\r~x"]), [passed("~\r~x")]);
        assert_eq!(take(&["\u{1b}[A~."]), [passed("\u{1b}[A~.")]);
    }
}
