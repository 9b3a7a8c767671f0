//! Names with `*`, `?` and `[…]` in them, as Dockerfiles have them.

/// Whether a path is what a pattern stands for, part by part. `**` as a part stands for any number of parts, none included;
/// everything else stays within its part.
#[must_use]
pub fn matches_path(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // As for one part below: only the last `**` is ever gone back to.
    let (mut at, mut on) = (0_usize, 0_usize);
    let mut again = None;
    loop {
        match (pattern.get(at), path.get(on)) {
            (Some(&"**"), _) => {
                again = Some((at, on));
                at = at.saturating_add(1);
                continue;
            }
            (Some(part), Some(name)) if matches_name(part, name) => {
                (at, on) = (at.saturating_add(1), on.saturating_add(1));
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match again {
            Some((star, from)) if from < path.len() => {
                again = Some((star, from.saturating_add(1)));
                (at, on) = (star.saturating_add(1), from.saturating_add(1));
            }
            _ => return false,
        }
    }
}

/// Whether a name is what a pattern without slashes stands for.
#[must_use]
pub fn matches_name(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut on) = (0_usize, 0_usize);
    let mut again = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            again = Some((at, on));
            at = at.saturating_add(1);
            continue;
        }
        let step = match (pattern.get(at..), name.get(on)) {
            (None | Some([]), None) => return true,
            (Some(rest), Some(character)) => takes(rest, *character),
            _ => None,
        };
        if let Some(length) = step {
            (at, on) = (at.saturating_add(length), on.saturating_add(1));
            continue;
        }
        match again {
            Some((star, from)) if from < name.len() => {
                again = Some((star, from.saturating_add(1)));
                (at, on) = (star.saturating_add(1), from.saturating_add(1));
            }
            _ => return false,
        }
    }
}

/// Whether a text is a pattern and no plain name.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// How much of the pattern stands for this character.
fn takes(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == character).then_some(2),
        ['[', rest @ ..] => match class(rest, character) {
            Some((true, length)) => Some(length.saturating_add(1)),
            Some((false, _)) => None,
            // It is not closed: it means itself.
            None => (character == '[').then_some(1),
        },
        [plain, ..] => (*plain == character).then_some(1),
        [] => None,
    }
}

/// Whether a character is of a class, and how long that is, its end included.
fn class(pattern: &[char], character: char) -> Option<(bool, usize)> {
    let (is_negated, mut at) = match pattern.first() {
        Some('^' | '!') => (true, 1_usize),
        _ => (false, 0),
    };
    let (start, mut is_in) = (at, false);
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > start {
            return Some((is_in != is_negated, at.saturating_add(1)));
        }
        at = at.saturating_add(1);
        let is_range =
            pattern.get(at) == Some(&'-') && pattern.get(at.saturating_add(1)) != Some(&']');
        let high = match is_range {
            true => {
                let high = *pattern.get(at.saturating_add(1))?;
                at = at.saturating_add(2);
                high
            }
            false => low,
        };
        is_in |= (low..=high).contains(&character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_stand_for_what_they_stand_for_everywhere() {
        for (pattern, name, wanted) in [
            ("*", "a", true),
            ("*", "", true),
            ("*.py", "a.py", true),
            ("*.py", "a.pyc", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[!a]", "b", true),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_name(pattern, name), wanted, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn two_stars_stand_for_any_number_of_parts() {
        for (pattern, path, wanted) in [
            ("**", "a/b", true),
            ("**/b", "b", true),
            ("**/b", "a/c/b", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**", "a", true),
            ("a/*", "a/b/c", false),
            ("*", "a/b", false),
            ("a/b", "a/b", true),
            ("**/x/**/y", "q/x/w/z/y", true),
            ("**/x/**/y", "q/x/w/z", false),
        ] {
            assert_eq!(matches_path(pattern, path), wanted, "{pattern:?} {path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_path_stands_for_itself_alone(path in "[a-z/.]{0,20}", other in "[a-z/.]{0,20}") {
            prop_assert!(matches_path(&path, &path));
            prop_assert_eq!(matches_path(&path, &other), path == other);
        }

        #[test]
        fn no_pattern_takes_long(pattern in "[a*?/\\[\\]^-]{0,60}", path in "[ab/]{0,200}") {
            let _ends = matches_path(&pattern, &path);
        }
    }
}
