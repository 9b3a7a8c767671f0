//! Patterns for names.

/// A pattern for a whole name: `*` stands for any characters, `?` for one, `[a-z]` for one of these, `[^a-z]` for one of
/// the others, `\` takes the next one as it is. What is not closed matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Reads a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        matches(&self.0, &name)
    }
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    // Where to go on after the last star, with one more character taken by it.
    let mut retry: Option<(&[char], &[char])> = None;
    let (mut pattern, mut name) = (pattern, name);
    loop {
        if let ['*', rest @ ..] = pattern {
            retry = Some((rest, name));
            pattern = rest;
            continue;
        }
        if let Some((rest_of_pattern, rest_of_name)) = match_one(pattern, name) {
            (pattern, name) = (rest_of_pattern, rest_of_name);
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        match retry {
            Some((rest, [_, name_rest @ ..])) => {
                retry = Some((rest, name_rest));
                (pattern, name) = (rest, name_rest);
            }
            _ => return false,
        }
    }
}

fn match_one<'a>(pattern: &'a [char], name: &'a [char]) -> Option<(&'a [char], &'a [char])> {
    let (&character, name_rest) = name.split_first()?;
    let rest = match pattern {
        ['?', rest @ ..] => rest,
        ['[', class @ ..] => {
            let (class, rest) =
                class.split_at_checked(class.iter().position(|one| *one == ']')?)?;
            let (is_negated, class) = match class {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            if in_class(class, character) == is_negated {
                return None;
            }
            rest.split_first()?.1
        }
        ['\\', escaped, rest @ ..] if *escaped == character => rest,
        ['\\', _, ..] => return None,
        [same, rest @ ..] if *same == character => rest,
        _ => return None,
    };
    Some((rest, name_rest))
}

fn in_class(mut class: &[char], character: char) -> bool {
    loop {
        match class {
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&character) {
                    return true;
                }
                class = rest;
            }
            [one, rest @ ..] => {
                if *one == character {
                    return true;
                }
                class = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pattern;

    #[test]
    fn names_match_patterns_as_a_whole() {
        for (pattern, name, wanted) in [
            ("*.py", "a.py", true),
            ("*.py", "a.pyc", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[", "[", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), wanted, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_without_signs_matches_itself_and_nothing_else(name in "[a-z.ä]{0,12}", other in "[a-z.ä]{0,12}") {
            prop_assert!(Pattern::new(&name).matches(&name));
            prop_assert_eq!(Pattern::new(&name).matches(&other), name == other);
            let beginning: String = name.chars().take(3).collect();
            let pattern = format!("{beginning}*");
            prop_assert_eq!(Pattern::new(&pattern).matches(&other), other.starts_with(&beginning));
        }

        #[test]
        fn no_pattern_takes_long(pattern in "[*?\\[\\]^a\\\\-]{0,40}", name in "a{0,200}") {
            let is_match = Pattern::new(&pattern).matches(&name);
            prop_assert!(!is_match || !pattern.is_empty() || name.is_empty());
        }
    }
}
