//! The documents that a server was told of, and what it must be told next.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use pitlane_daemon::input::language::uri_of;
use serde_json::{Value, json};

use super::language::Language;
use crate::files::Document;

/// How many a server keeps open. One more closes the one that was not asked about for longest.
const MAX_OPEN: usize = 64;

/// What one server believes to be in files.
#[derive(Debug)]
pub(super) struct Documents {
    language: Language,
    open: HashMap<PathBuf, Open>,
    /// Counts what was asked.
    clock: u64,
}

#[derive(Debug)]
struct Open {
    version: i32,
    /// Of the text that the server has.
    digest: (usize, u64),
    asked: u64,
}

impl Documents {
    pub(super) fn new(language: Language) -> Self {
        Self { language, open: HashMap::new(), clock: 0 }
    }

    /// The notices after which the server has the document as it is now.
    pub(super) fn tell(&mut self, document: &Document) -> Vec<Value> {
        let uri = uri_of(&document.path);
        let digest = digest(&document.text);
        self.clock = self.clock.saturating_add(1);
        if let Some(open) = self.open.get_mut(&document.path) {
            open.asked = self.clock;
            if open.digest == digest {
                return Vec::new();
            }
            open.digest = digest;
            open.version = open.version.saturating_add(1);
            return vec![notice(
                "textDocument/didChange",
                &json!({
                    "textDocument": { "uri": uri, "version": open.version },
                    "contentChanges": [{ "text": document.text }],
                }),
            )];
        }
        let mut notices = Vec::new();
        if self.open.len() >= MAX_OPEN {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.asked);
            if let Some(path) = oldest.map(|(path, _)| path.clone()) {
                notices.extend(self.close(&path));
            }
        }
        let open = Open { version: 1, digest, asked: self.clock };
        self.open.insert(document.path.clone(), open);
        let item = json!({
            "uri": uri,
            "languageId": self.language.of_file(&document.path),
            "version": 1,
            "text": document.text,
        });
        notices.push(notice("textDocument/didOpen", &json!({ "textDocument": item })));
        notices
    }

    /// Whether the server was told of nothing.
    pub(super) fn are_none(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the server was told of it.
    pub(super) fn is_open(&self, path: &PathBuf) -> bool {
        self.open.contains_key(path)
    }

    /// The notice that a document is none any more, if it was one.
    pub(super) fn close(&mut self, path: &PathBuf) -> Option<Value> {
        self.open.remove(path)?;
        let document = json!({ "textDocument": { "uri": uri_of(path) } });
        Some(notice("textDocument/didClose", &document))
    }
}

/// A word to a server that wants no answer.
pub(super) fn notice(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn digest(text: &str) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    (text.len(), hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, text: &str) -> Document {
        Document { path: path.into(), text: text.into() }
    }

    fn methods(notices: &[Value]) -> Vec<String> {
        let line = |notice: &Value| {
            let document = &notice["params"]["textDocument"];
            format!("{} {} {}", notice["method"], document["uri"], document["version"])
        };
        notices.iter().map(line).map(|line| line.replace('"', "")).collect()
    }

    #[test]
    fn a_server_is_told_once_and_again_after_a_change() {
        let mut documents = Documents::new(Language::TypeScript);
        let told = |notices: Vec<Value>| methods(&notices);
        let none: [&str; 0] = [];
        let open = told(documents.tell(&document("/a b.ts", "1")));
        assert_eq!(open, ["textDocument/didOpen file:///a%20b.ts 1"]);
        assert_eq!(told(documents.tell(&document("/a b.ts", "1"))), none);
        let changed = told(documents.tell(&document("/a b.ts", "2")));
        assert_eq!(changed, ["textDocument/didChange file:///a%20b.ts 2"]);
        let closed = documents.close(&PathBuf::from("/a b.ts"));
        assert_eq!(methods(closed.as_slice()), ["textDocument/didClose file:///a%20b.ts null"]);
        assert_eq!(documents.close(&PathBuf::from("/a b.ts")), None);
    }

    #[test]
    fn one_document_too_many_closes_the_one_that_was_not_asked_about_for_longest() {
        let mut documents = Documents::new(Language::Python);
        for number in 0..MAX_OPEN {
            documents.tell(&document(&format!("/{number}"), ""));
        }
        documents.tell(&document("/0", ""));
        let told = methods(&documents.tell(&document("/more", "")));
        assert_eq!(
            told,
            ["textDocument/didClose file:///1 null", "textDocument/didOpen file:///more 1"]
        );
        assert!(
            documents.is_open(&PathBuf::from("/0")) && !documents.is_open(&PathBuf::from("/1"))
        );
    }
}
