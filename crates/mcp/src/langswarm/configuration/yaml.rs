//! A YAML text as a tree of nodes that know where they stood.
//!
//! One document, of bounded size and depth. Aliases and tags are refused: what a file says is there to be read.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::Fault;

/// The longest file.
const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting.
const MAX_DEPTH: usize = 32;

/// Where something stands: line and column, both from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text; whether it was quoted, and therefore is nothing but a text.
    Scalar {
        text: String,
        is_quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) node: Node,
}

/// A list or a map that is being read.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<Entry>, Option<(Place, String)>),
}

impl Place {
    const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }

    fn fault(self, why: impl Into<String>) -> Fault {
        Fault { line: self.line, column: self.column, key: String::new(), why: why.into() }
    }
}

impl Node {
    /// Whether it says that there is nothing.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, is_quoted: false } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => false,
        }
    }
}

/// Reads a text.
pub(super) fn read(text: &str) -> Result<Node, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Place::START.fault(format!("is longer than {MAX_BYTES} bytes")));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Place::of(error.marker()).fault(format!("is not YAML: {}", error.info()))
        })?;
        let place = Place::of(&span.start);
        let complete = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(place.fault("tags are not understood here"));
            }
            Event::Alias(_) => return Err(place.fault("aliases are not understood here")),
            Event::Scalar(text, style, _, None) => {
                let is_quoted = style != ScalarStyle::Plain;
                Some(Node { place, value: Value::Scalar { text: text.into_owned(), is_quoted } })
            }
            Event::SequenceStart(_, None) => {
                open.push(Open::List(place, Vec::new()));
                None
            }
            Event::MappingStart(_, None) => {
                open.push(Open::Map(place, Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(Open::close),
            Event::DocumentStart(_) if root.is_some() => {
                return Err(place.fault("a second document begins; one is read"));
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(place.fault(format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        match (complete, open.last_mut()) {
            (Some(node), Some(parent)) => parent.take(node)?,
            (Some(node), None) => root = Some(node),
            (None, _) => {}
        }
    }
    root.ok_or_else(|| Place::START.fault("is empty"))
}

impl Open {
    fn take(&mut self, node: Node) -> Result<(), Fault> {
        match self {
            Self::List(_, items) => items.push(node),
            Self::Map(_, entries, name) => match name.take() {
                Some((place, name)) => entries.push(Entry { place, name, node }),
                None => {
                    let Value::Scalar { text, .. } = node.value else {
                        return Err(node.place.fault("a key is a text"));
                    };
                    if entries.iter().any(|entry| entry.name == text) {
                        return Err(node.place.fault(format!("the key '{text}' is there twice")));
                    }
                    *name = Some((node.place, text));
                }
            },
        }
        Ok(())
    }

    fn close(self) -> Node {
        match self {
            Self::List(place, items) => Node { place, value: Value::List(items) },
            Self::Map(place, entries, _) => Node { place, value: Value::Map(entries) },
        }
    }
}
