//! The results of `textDocument/documentSymbol` and `workspace/symbol`.

use pitlane_wire::toolbox::{LspLocation, LspRange, LspSymbol};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::MAX_ENTRIES;
use super::list::{Beginning, of};

/// How deep symbols may lie in each other. Each level is read once more than the one above.
const MAX_DEPTH: usize = 32;

/// All three forms that a symbol has: with a location, with ranges and children, with the file alone.
#[derive(Deserialize)]
struct Symbol<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    kind: &'a RawValue,
    #[serde(borrow, default)]
    location: Option<&'a RawValue>,
    #[serde(borrow, default)]
    range: Option<&'a RawValue>,
    #[serde(borrow, default)]
    children: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Location<'a> {
    #[serde(borrow)]
    uri: &'a RawValue,
    #[serde(borrow, default)]
    range: Option<&'a RawValue>,
}

/// Symbols in one list, each before those in it; `document` is where those are that do not say it. `None` if the result
/// is neither a list nor nothing.
#[must_use]
pub fn symbols(result: &str, document: &str) -> Option<Vec<LspSymbol>> {
    let mut found = Vec::new();
    if result == "null" {
        return Some(found);
    }
    let list: Beginning<'_> = serde_json::from_str(result).ok()?;
    // Each level's entries that were not read yet, the next one last.
    let mut levels = vec![reversed(list)];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.pop() else {
            levels.pop();
            continue;
        };
        if found.len() >= MAX_ENTRIES {
            break;
        }
        let is_object = entry.get().starts_with('{');
        let Some(symbol) = is_object.then(|| of::<Symbol<'_>>(Some(entry))).flatten() else {
            continue;
        };
        found.extend(read(&symbol, document));
        if levels.len() < MAX_DEPTH
            && let Some(children) = of(symbol.children)
        {
            levels.push(reversed(children));
        }
    }
    Some(found)
}

fn reversed(list: Beginning<'_>) -> Vec<&RawValue> {
    let mut entries = list.entries;
    entries.reverse();
    entries
}

fn read(symbol: &Symbol<'_>, document: &str) -> Option<LspSymbol> {
    let location = match of::<Location<'_>>(symbol.location) {
        Some(Location { uri, range }) => LspLocation { uri: of(Some(uri))?, range: place(range)? },
        None => LspLocation { uri: document.to_owned(), range: of(Some(symbol.range?))? },
    };
    Some(LspSymbol { name: of(Some(symbol.name))?, kind: of(Some(symbol.kind))?, location })
}

/// A location without a range is the file's beginning.
fn place(range: Option<&RawValue>) -> Option<LspRange> {
    match range {
        Some(_) => of(range),
        None => Some(LspRange::default()),
    }
}

#[cfg(test)]
mod tests {
    use pitlane_wire::toolbox::LspPosition;
    use serde_json::{Value, json};

    use super::*;

    fn range(line: u32) -> LspRange {
        let position = LspPosition { line, character: 0 };
        LspRange { start: position, end: position }
    }

    fn symbol(name: &str, uri: &str, line: u32) -> LspSymbol {
        let location = LspLocation { uri: uri.into(), range: range(line) };
        LspSymbol { name: name.into(), kind: 5, location }
    }

    #[test]
    fn every_form_of_a_symbol_is_one() {
        let result = json!([
            {"name": "a", "kind": 5, "location": {"uri": "file:///b", "range": range(1)}, "containerName": "x"},
            {"name": "c", "kind": 5, "range": range(2), "selectionRange": range(9), "children": [
                {"name": "d", "kind": 5, "range": range(3), "children": null},
                {"name": "e", "kind": 5, "range": range(4), "children": [{"name": "f", "kind": 5, "range": range(5)}]},
            ]},
            {"name": "g", "kind": 5, "location": {"uri": "file:///h"}},
        ]);
        let wanted = vec![
            symbol("a", "file:///b", 1),
            symbol("c", "file:///own", 2),
            symbol("d", "file:///own", 3),
            symbol("e", "file:///own", 4),
            symbol("f", "file:///own", 5),
            symbol("g", "file:///h", 0),
        ];
        assert_eq!(symbols(&result.to_string(), "file:///own"), Some(wanted));
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let result = json!([
            1, null, [], {}, {"name": "a"}, {"name": "a", "kind": 5}, {"name": 1, "kind": 5, "range": range(1)},
            {"name": "a", "kind": -5, "range": range(1)},
            {"name": "a", "kind": 5, "range": {"start": {"line": -1, "character": 0}}},
            {"name": "b", "kind": 5, "range": range(1), "children": 7},
        ]);
        assert_eq!(symbols(&result.to_string(), "u"), Some(vec![symbol("b", "u", 1)]));
        assert_eq!(symbols("null", "u"), Some(Vec::new()));
        for nonsense in ["7", "{}", "", "\"x\""] {
            assert_eq!(symbols(nonsense, "u"), None, "{nonsense}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let mut nested = json!({"name": "a", "kind": 5, "range": range(0)});
        for _ in 0..50 {
            let children: Value = json!([nested]);
            nested = json!({"name": "a", "kind": 5, "range": range(0), "children": children});
        }
        let found = symbols(&json!([nested]).to_string(), "u").unwrap();
        assert_eq!(found.len(), MAX_DEPTH);
        let many = json!(vec![json!({"name": "a", "kind": 5, "range": range(0)}); MAX_ENTRIES + 5]);
        assert_eq!(symbols(&many.to_string(), "u").unwrap().len(), MAX_ENTRIES);
    }
}
