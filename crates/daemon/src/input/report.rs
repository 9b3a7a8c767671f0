//! What the shell of a session tells about its commands: `b` when one has begun, `e3` when it has ended with 3.
//!
//! Whatever runs in the session can write there as well, so nothing is believed that is not one of these lines.

/// Longer than any report.
const MAX_LINE: usize = 8;

/// One line of a shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The command's input and outputs are in place.
    Begun,
    /// The command has ended, with this exit code.
    Ended(u8),
}

/// A shell that says something else. Nothing after it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session's shell was interfered with")]
pub struct Garbled;

/// Takes reports out of bytes that arrive in pieces of any size.
#[derive(Debug, Default)]
pub struct Reports {
    line: Vec<u8>,
    is_garbled: bool,
}

impl Reports {
    /// Takes the first report out of `bytes` and leaves what follows it; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// [`Garbled`], from then on for ever.
    pub fn next_report(&mut self, bytes: &mut &[u8]) -> Result<Option<Report>, Garbled> {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.is_garbled {
                return Err(Garbled);
            }
            *bytes = rest;
            if *byte == b'\n' {
                let report = parse(&std::mem::take(&mut self.line));
                self.is_garbled = report.is_none();
                return report.map(Some).ok_or(Garbled);
            }
            self.line.push(*byte);
            self.is_garbled = self.line.len() > MAX_LINE;
        }
        if self.is_garbled { Err(Garbled) } else { Ok(None) }
    }
}

fn parse(line: &[u8]) -> Option<Report> {
    match line {
        b"b" => Some(Report::Begun),
        [b'e', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(digits).ok()?.parse().ok().map(Report::Ended)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Garbled, Report, Reports};

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Report>, Result<(), Garbled>) {
        let (mut reports, mut found) = (Reports::default(), Vec::new());
        for mut piece in pieces {
            loop {
                match reports.next_report(&mut piece) {
                    Ok(Some(report)) => found.push(report),
                    Ok(None) => break,
                    Err(garbled) => return (found, Err(garbled)),
                }
            }
        }
        (found, Ok(()))
    }

    #[test]
    fn reports_are_these_lines_and_nothing_else() {
        let wanted = vec![Report::Begun, Report::Ended(0), Report::Begun, Report::Ended(255)];
        assert_eq!(read([&b"b\ne0\nb\ne255\n"[..]]), (wanted, Ok(())));
        for line in ["\n", "e\n", "e256\n", "e-1\n", "e 1\n", "B\n", "b \n", "bbbbbbbbbbbb"] {
            assert_eq!(read([line.as_bytes()]), (Vec::new(), Err(Garbled)), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn reports_survive_any_cutting(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'b'), Just(b'e'), Just(b'\n'), Just(b'7'), any::<u8>()],
                0..64,
            ),
            size in 1usize..9,
        ) {
            prop_assert_eq!(read(bytes.chunks(size)), read([bytes.as_slice()]));
        }
    }
}
