//! Texts as people and models can see them: nothing in them moves a cursor, reorders what is shown or hides.
//!
//! What a sandbox says is anybody's. A terminal obeys control characters, and models read characters that no screen shows;
//! both become visible. What programs read, the structured part of an answer, keeps every character.

/// The text with every character visible that is not meant to be seen. Line ends and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' | '\t' => shown.push(character),
            // Part of a line's end; alone it would have the line written over.
            '\r' if rest.peek() == Some(&'\n') => shown.push(character),
            other => push(other, &mut shown),
        }
    }
    shown
}

/// The same for JSON, which stays the same JSON: a character is written by its number instead.
pub(crate) fn visible_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let mut as_shown = String::new();
        push(character, &mut as_shown);
        if matches!(character, '\n' | '\t') || as_shown.chars().eq([character]) {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
}

/// The text as one line: a name cannot pass for several.
pub(crate) fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|character| push(character, &mut shown));
    shown
}

fn push(character: char, shown: &mut String) {
    match character {
        // Unicode has a picture of each.
        '\u{0}'..='\u{1f}' => {
            shown.extend(char::from_u32(u32::from(character).saturating_add(0x2400)));
        }
        '\u{7f}' => shown.push('\u{2421}'),
        // The other controls; marks that reorder; what is read as text and never shown.
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{2066}'..='\u{2069}'
        | '\u{e0000}'..='\u{e007f}' => {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
        }
        other => shown.push(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (said, shown) in [
            ("plain ä 🌀\n\tline\r\n", "plain ä 🌀\n\tline\r\n"),
            ("\u{1b}]0;title\u{7}\u{1b}[2J", "␛]0;title␇␛[2J"),
            ("50 %\r100 %", "50 %␍100 %"),
            ("\u{9b}31m\u{7f}\u{0}", "\\u{9b}31m␡␀"),
            ("gnp.\u{202e}exe\u{2028}", "gnp.\\u{202e}exe\\u{2028}"),
            ("hidden\u{e0049}\u{e0067}", "hidden\\u{e0049}\\u{e0067}"),
        ] {
            assert_eq!(visible(said), shown);
        }
        assert_eq!(line("a\n- b (1 bytes)\r\n\t"), "a␊- b (1 bytes)␍␊␉");
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_controls_anything(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(shown.replace("\r\n", "\n").chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t')));
            prop_assert_eq!(visible(&shown), shown);
            prop_assert!(!line(&text).chars().any(char::is_control));
        }

        #[test]
        fn json_stays_what_it_is(text in any::<String>()) {
            let json = serde_json::Value::from(format!("{text}\u{202e}\u{e0041}\u{7f}")).to_string();
            let shown = visible_json(&json);
            prop_assert_eq!(&visible(&shown), &shown);
            let (was, is): (String, String) =
                (serde_json::from_str(&json).unwrap(), serde_json::from_str(&shown).unwrap());
            prop_assert_eq!(was, is);
        }
    }
}
