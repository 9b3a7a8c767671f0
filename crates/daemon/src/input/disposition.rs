//! The header `Content-Disposition`: read from parts of forms, written for what is sent.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands as it is in `filename*`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the header says of a part. Of a parameter that comes twice the first counts: clients write the field's name
/// first, and what they do not escape in a file's name cannot become another field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disposition {
    /// The field.
    pub name: Option<String>,
    /// The file's name: that of `filename*` if it can be read, else that of `filename`.
    pub file_name: Option<String>,
}

impl Disposition {
    /// Reads the header: `form-data; name="…"; filename="…"; filename*=utf-8''…`, quoted or not. What is not UTF-8 is
    /// replaced; what makes no sense is left out.
    #[must_use]
    pub fn parse(header: &[u8]) -> Self {
        let text = String::from_utf8_lossy(header);
        let mut rest = text.split_once(';').map_or("", |(_kind, rest)| rest);
        let (mut name, mut plain, mut extended) = (None, None, None);
        while let Some((key, value, after)) = parameter(rest) {
            let slot = match key.to_ascii_lowercase().as_str() {
                "name" => Some(&mut name),
                "filename" => Some(&mut plain),
                "filename*" => Some(&mut extended),
                _ => None,
            };
            if let (Some(slot), Some(value)) = (slot, value) {
                slot.get_or_insert(value);
            }
            rest = after;
        }
        let file_name = extended.and_then(|value| extended_value(&value)).or(plain);
        Self { name, file_name }
    }
}

/// The next parameter, its value if it has one, and what follows it; `None` at the end.
fn parameter(text: &str) -> Option<(&str, Option<String>, &str)> {
    let text = text.trim_start_matches([';', ' ', '\t']);
    if text.is_empty() {
        return None;
    }
    let end = text.find(['=', ';']).unwrap_or(text.len());
    let (key, rest) = text.split_at_checked(end)?;
    let Some(value) = rest.strip_prefix('=') else { return Some((key.trim(), None, rest)) };
    let value = value.trim_start_matches([' ', '\t']);
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find(';').unwrap_or(value.len());
        let (value, rest) = value.split_at_checked(end)?;
        return Some((key.trim(), Some(value.trim().to_owned()), rest));
    };
    let mut unquoted = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            // Only these are ever escaped; other backslashes are parts of Windows' paths.
            '\\' => match characters.clone().next() {
                Some(escaped @ ('"' | '\\')) => {
                    characters.next();
                    unquoted.push(escaped);
                }
                _ => unquoted.push('\\'),
            },
            other => unquoted.push(other),
        }
    }
    let rest = characters.as_str();
    let rest =
        rest.find(';').and_then(|end| rest.split_at_checked(end)).map_or("", |(_, rest)| rest);
    Some((key.trim(), Some(unquoted), rest))
}

/// `utf-8'language'percent-encoded`.
fn extended_value(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let decoded = percent_decode_str(encoded).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| decoded.into_owned())
}

/// The header of a part that is called `name` and carries the file `path`: the path exactly as it was asked for, twice,
/// for clients that read only the old parameter, and without loss.
#[must_use]
pub fn part_of_form(name: &str, path: &str) -> String {
    let (quoted, encoded) = (quote(path), utf8_percent_encode(path, PLAIN));
    format!("form-data; name=\"{name}\"; filename=\"{quoted}\"; filename*=utf-8''{encoded}")
}

/// The header of an answer that is the file `name`, all ASCII: where the name is not, the old parameter is an
/// approximation.
#[must_use]
pub fn attachment(name: &str) -> String {
    let plain: String =
        name.chars().map(|character| if character.is_ascii() { character } else { '_' }).collect();
    let (quoted, encoded) = (quote(&plain), utf8_percent_encode(name, PLAIN));
    format!("attachment; filename=\"{quoted}\"; filename*=utf-8''{encoded}")
}

/// The inside of a quoted string.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // A line's end would end the header, and there is no other way to write these.
            control if control.is_ascii_control() => {
                quoted.push_str(&format!("%{:02X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Disposition, attachment, part_of_form};

    fn parsed(header: &str) -> (Option<String>, Option<String>) {
        let Disposition { name, file_name } = Disposition::parse(header.as_bytes());
        (name, file_name)
    }

    #[test]
    fn any_path_fits_into_a_header() {
        assert_eq!(
            part_of_form("file", "/tmp/ä \"b\"\r\n.txt"),
            "form-data; name=\"file\"; filename=\"/tmp/ä \\\"b\\\"%0D%0A.txt\"; filename*=utf-8''%2Ftmp%2F%C3%A4%20%22b%22%0D%0A.txt"
        );
        assert_eq!(
            attachment("ä\"\t.txt"),
            "attachment; filename=\"_\\\"%09.txt\"; filename*=utf-8''%C3%A4%22%09.txt"
        );
    }

    #[test]
    fn headers_of_every_client_are_understood() {
        let both = |name: &str, file: &str| (Some(name.to_owned()), Some(file.to_owned()));
        for (header, wanted) in [
            ("form-data; name=\"a\"; filename=\"b\"", both("a", "b")),
            ("form-data;name=a;filename=b.txt ", both("a", "b.txt")),
            ("form-data; filename=\"x; name=\\\"y\"; NAME = \"a\"", both("a", "x; name=\"y")),
            ("form-data; name=\"a\"; filename=\"C:\\dir\\b\"", both("a", "C:\\dir\\b")),
            ("form-data; name=\"a\"; filename=\"e\"; filename*=UTF-8'de'%C3%A4", both("a", "ä")),
            ("form-data; name=\"a\"; filename=\"e\"; filename*=latin1''%E4", both("a", "e")),
            // Not escaped by the client: the rest of the name is lost, and no other field is made of it.
            ("form-data; name=\"a\"; filename=\"b\"; name=\"evil\".txt\"", both("a", "b")),
            ("form-data; name=\"a\"; filename=\"open", both("a", "open")),
            ("form-data; name; filename; name=\"a\"; filename=b", both("a", "b")),
        ] {
            assert_eq!(parsed(header), wanted, "{header}");
        }
        for header in ["", "form-data", "name=\"a\"", "form-data; =;;", "form-data; ="] {
            assert_eq!(parsed(header), (None, None), "{header}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(path in "\\PC{0,40}|[\"\\\\;=' \r\n\t]{0,20}") {
            let (name, file_name) = parsed(&part_of_form("file", &path));
            prop_assert_eq!(name.as_deref(), Some("file"));
            prop_assert_eq!(file_name, Some(path.clone()));
            let header = attachment(&path);
            prop_assert!(header.is_ascii() && !header.chars().any(|one| one.is_ascii_control()));
            prop_assert_eq!(parsed(&header).1, Some(path));
        }

        #[test]
        fn no_header_is_too_odd(header in any::<Vec<u8>>()) {
            let Disposition { name, .. } = Disposition::parse(&header);
            prop_assert!(name.is_none_or(|name| name.len() <= header.len() * 3));
        }
    }
}
