//! What a storage answers in XML, as a tree of texts.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// An element with what is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

/// Answers are never deeper.
const DEEPEST: usize = 16;
/// The longest list has a thousand lines of a dozen elements; each takes more memory than it is long.
const MOST_ELEMENTS: usize = 100_000;

impl Element {
    /// The text of the first child of that name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.all(name).next().map(|child| child.text.as_str())
    }

    /// The children of that name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document; nothing, if it is none. The caller has bounded its length.
pub(crate) fn parse(document: &[u8]) -> Option<Element> {
    let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
    let mut open = vec![Element::default()];
    let mut elements = 0usize;
    loop {
        let event = reader.read_event().ok()?;
        if matches!(event, Event::Start(_) | Event::Empty(_)) {
            elements = elements.saturating_add(1);
        }
        if elements > MOST_ELEMENTS {
            return None;
        }
        match event {
            Event::Start(start) if open.len() < DEEPEST => {
                let name = String::from_utf8(start.local_name().as_ref().to_vec()).ok()?;
                open.push(Element { name, ..Element::default() });
            }
            Event::Empty(start) => {
                let name = String::from_utf8(start.local_name().as_ref().to_vec()).ok()?;
                open.last_mut()?.children.push(Element { name, ..Element::default() });
            }
            Event::End(_) => {
                let child = open.pop()?;
                open.last_mut()?.children.push(child);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
            Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => match &*reference.decode().ok()? {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return None,
                    },
                };
                open.last_mut()?.text.push(character);
            }
            Event::Eof => break,
            Event::Start(_) | Event::DocType(_) => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    match (open.pop(), open.pop()) {
        (Some(document), None) => document.children.into_iter().next(),
        _ => None,
    }
}

/// Escapes a text for a document.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any};

    use super::{Element, MOST_ELEMENTS, escaped, parse};

    #[test]
    fn documents_are_read_and_what_is_none_is_not() {
        let text = "a & b <c> \"d\" é";
        let document =
            format!("<?xml version=\"1.0\"?><R xmlns=\"x\"><K>{}</K><E/></R>", escaped(text));
        let root = parse(document.as_bytes()).unwrap();
        assert_eq!((root.name.as_str(), root.text_of("K")), ("R", Some(text)));
        assert_eq!((root.text_of("E"), root.text_of("F")), (Some(""), None));
        for broken in ["", "text", "<R>", "<R></S>", "<R>&what;</R>", "<!DOCTYPE R []><R></R>"] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(parse("<a>".repeat(100).as_bytes()), None);
        let wide = |count: usize| format!("<R>{}</R>", "<a/>".repeat(count));
        assert!(parse(wide(MOST_ELEMENTS - 1).as_bytes()).is_some());
        assert_eq!(parse(wide(MOST_ELEMENTS).as_bytes()), None);
    }

    fn any_element() -> impl Strategy<Value = Element> {
        let of = |(name, text), children| Element { name, text, children };
        let named = || ("[A-Za-z]{1,8}", any::<String>());
        let leaf = named().prop_map(move |named| of(named, Vec::new()));
        leaf.prop_recursive(4, 64, 5, move |inner| {
            (named(), proptest::collection::vec(inner, 0..5))
                .prop_map(move |(named, children)| of(named, children))
        })
    }

    fn written(Element { name, text, children }: &Element) -> String {
        let children: String = children.iter().map(written).collect();
        format!("<{name}>{}{children}</{name}>", escaped(text))
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
            drop(parse(&bytes));
        }

        #[test]
        fn what_is_written_is_what_is_read(element in any_element()) {
            assert_eq!(parse(written(&element).as_bytes()), Some(element));
        }
    }
}
