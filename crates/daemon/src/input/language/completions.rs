//! The result of `textDocument/completion`.

use pitlane_wire::toolbox::{CompletionItem, CompletionList, LspDocumentation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::{Beginning, of};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    #[serde(borrow, default)]
    is_incomplete: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Beginning<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    label: &'a RawValue,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    documentation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sort_text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filter_text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    insert_text: Option<&'a RawValue>,
}

/// What could be written: a list, an object with one, or nothing. `None` if it is none of these.
#[must_use]
pub fn completions(result: &str) -> Option<CompletionList> {
    let (is_incomplete, found) = if result == "null" {
        (false, Beginning::default())
    } else if result.starts_with('[') {
        (false, serde_json::from_str(result).ok()?)
    } else if result.starts_with('{') {
        let list: List<'_> = serde_json::from_str(result).ok()?;
        (of(list.is_incomplete).unwrap_or(false), list.items)
    } else {
        return None;
    };
    let items = found.entries.iter().filter_map(|entry| item(entry)).collect();
    Some(CompletionList { is_incomplete: is_incomplete || found.is_cut, items })
}

fn item(entry: &RawValue) -> Option<CompletionItem> {
    // A list would be taken for an object's fields.
    let item: Item<'_> = entry.get().starts_with('{').then(|| of(Some(entry)))??;
    Some(CompletionItem {
        label: of(Some(item.label))?,
        kind: of(item.kind),
        detail: of(item.detail),
        documentation: item.documentation.and_then(documentation),
        sort_text: of(item.sort_text),
        filter_text: of(item.filter_text),
        insert_text: of(item.insert_text),
    })
}

/// A text alone is plain.
fn documentation(raw: &RawValue) -> Option<LspDocumentation> {
    match of::<String>(Some(raw)) {
        Some(value) => Some(LspDocumentation { kind: String::from("plaintext"), value }),
        None => raw.get().starts_with('{').then(|| of(Some(raw)))?,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::MAX_ENTRIES;
    use super::*;

    #[test]
    fn every_form_of_the_result_is_a_list() {
        let item =
            |label: &str| CompletionItem { label: label.into(), ..CompletionItem::default() };
        let list = |is_incomplete, items| Some(CompletionList { is_incomplete, items });
        for (result, wanted) in [
            (json!(null), list(false, vec![])),
            (json!([{"label": "a"}]), list(false, vec![item("a")])),
            (json!({"isIncomplete": true, "items": [{"label": "a"}]}), list(true, vec![item("a")])),
            (json!({}), list(false, vec![])),
            (json!(7), None),
            (json!({"items": 7}), None),
            (
                json!([7, null, ["a"], {}, {"label": 1}, {"label": "a"}]),
                list(false, vec![item("a")]),
            ),
        ] {
            assert_eq!(completions(&result.to_string()), wanted, "{result}");
        }
    }

    #[test]
    fn fields_that_make_no_sense_are_left_out() {
        let result = json!([{
            "label": "a", "kind": 3, "detail": "d", "sortText": "s", "filterText": "f",
            "insertText": "i", "documentation": {"kind": "markdown", "value": "**a**"}, "data": {},
        }, {
            "label": "b", "kind": "x", "detail": 1, "sortText": [], "filterText": {}, "insertText": null,
            "documentation": ["markdown", "x"],
        }, {"label": "c", "kind": -1, "documentation": "plain"}]);
        let documentation = |kind: &str, value: &str| {
            Some(LspDocumentation { kind: kind.into(), value: value.into() })
        };
        let items = vec![
            CompletionItem {
                label: "a".into(),
                kind: Some(3),
                detail: Some("d".into()),
                documentation: documentation("markdown", "**a**"),
                sort_text: Some("s".into()),
                filter_text: Some("f".into()),
                insert_text: Some("i".into()),
            },
            CompletionItem { label: "b".into(), ..CompletionItem::default() },
            CompletionItem {
                label: "c".into(),
                documentation: documentation("plaintext", "plain"),
                ..CompletionItem::default()
            },
        ];
        let wanted = Some(CompletionList { is_incomplete: false, items });
        assert_eq!(completions(&result.to_string()), wanted);
    }

    #[test]
    fn a_list_that_is_too_long_is_incomplete() {
        let result = json!(vec![json!({"label": "a"}); MAX_ENTRIES + 1]);
        let list = completions(&result.to_string()).unwrap();
        assert_eq!((list.is_incomplete, list.items.len()), (true, MAX_ENTRIES));
    }
}
