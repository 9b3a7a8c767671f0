//! Places in a text, counted in UTF-16 as the protocol wants, or in code points as some servers do.

use pitlane_wire::toolbox::LspPosition;

/// A place counted in UTF-16 as the same place counted in code points. What is beyond its line's end stays beyond.
#[must_use]
pub fn to_code_points(text: &str, position: LspPosition) -> LspPosition {
    convert(text, position, |character| (utf16_length(character), 1))
}

/// A place counted in code points as the same place counted in UTF-16.
#[must_use]
pub fn from_code_points(text: &str, position: LspPosition) -> LspPosition {
    convert(text, position, |character| (1, utf16_length(character)))
}

/// Walks along a line; `lengths` are a character's length as it was counted, and as it will be.
fn convert(text: &str, position: LspPosition, lengths: impl Fn(char) -> (u32, u32)) -> LspPosition {
    if text.is_ascii() {
        return position;
    }
    let number = usize::try_from(position.line).unwrap_or(usize::MAX);
    let line = text.split('\n').nth(number).unwrap_or_default();
    let (mut counted, mut converted) = (0_u32, 0_u32);
    for character in line.trim_end_matches('\r').chars() {
        let (before, after) = lengths(character);
        // The middle of a character counts as its beginning.
        if counted.saturating_add(before) > position.character {
            return LspPosition { line: position.line, character: converted };
        }
        counted = counted.saturating_add(before);
        converted = converted.saturating_add(after);
    }
    let beyond = position.character.saturating_sub(counted);
    LspPosition { line: position.line, character: converted.saturating_add(beyond) }
}

fn utf16_length(character: char) -> u32 {
    if u32::from(character) > 0xffff { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(line: u32, character: u32) -> LspPosition {
        LspPosition { line, character }
    }

    #[test]
    fn what_takes_two_units_is_one_code_point() {
        let text = "a\n\u{1f980}b\u{1f980}\r\nc";
        for (utf16, points) in [(0, 0), (2, 1), (3, 2), (5, 3), (9, 7)] {
            assert_eq!(to_code_points(text, at(1, utf16)), at(1, points));
            assert_eq!(from_code_points(text, at(1, points)), at(1, utf16));
        }
        assert_eq!(to_code_points(text, at(1, 1)), at(1, 0));
        assert_eq!(to_code_points(text, at(9, 4)), at(9, 4));
        assert_eq!(to_code_points("x = 1", at(0, u32::MAX)), at(0, u32::MAX));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_place(text in "[a\u{e9}\u{1f980}\r\n]{0,30}", line in 0u32..4, character in 0u32..20) {
            let place = at(line, character);
            prop_assert_eq!(to_code_points(&text, from_code_points(&text, place)), place);
        }
    }
}
