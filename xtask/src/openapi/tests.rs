use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{check, wanted};
use crate::compat::required_answers;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_documents_are_what_the_code_says() {
    check(root()).unwrap();
}

#[test]
fn a_document_is_the_same_twice() {
    assert_eq!(wanted(root()).unwrap(), wanted(root()).unwrap());
}

/// What an object of this schema always has; of a list, what each of its items has.
fn required(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return required(document, document.pointer(reference.trim_start_matches('#')).unwrap());
    }
    if schema["type"] == "array" {
        return required(document, &schema["items"]);
    }
    let list = schema["required"].as_array().into_iter().flatten();
    list.map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_answer_has_what_the_references_always_has() {
    let documents = wanted(root()).unwrap();
    let mut missing = Vec::new();
    for ((_, text), reference) in documents.iter().zip(required_answers(root()).unwrap()) {
        let document: Value = serde_json::from_str(text).unwrap();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let key = format!("{} {path}", method.to_uppercase());
                let answers = operation["responses"].as_object().unwrap().iter();
                let ours: BTreeSet<String> = answers
                    .filter(|(status, _)| status.starts_with('2'))
                    .map(|(_, answer)| &answer["content"]["application/json"]["schema"])
                    .flat_map(|schema| required(&document, schema))
                    .collect();
                let theirs = reference.get(&key).into_iter().flatten();
                let lacking: Vec<&String> = theirs.filter(|name| !ours.contains(*name)).collect();
                if !lacking.is_empty() {
                    missing.push(format!("{key} lacks {lacking:?}"));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
