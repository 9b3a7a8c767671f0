//! Calls and answers of JSON-RPC, as a language server sends them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::of;

/// A longer sentence of a server is cut.
const MAX_SENTENCE: usize = 1000;

/// What a message is.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The answer to a question of ours.
    Answer {
        /// The question's number.
        id: u64,
        /// What the server found, or why it found nothing.
        outcome: Result<&'a str, Failure>,
    },
    /// A question of the server.
    Question {
        /// Its number or name, as JSON.
        id: &'a str,
        /// What it wants.
        method: Cow<'a, str>,
        /// How many things it asks for, where it asks for a list: `workspace/configuration` does.
        items: usize,
    },
    /// A word of the server's that wants no answer.
    Notice,
    /// Nothing that the protocol has.
    Nonsense,
}

/// Why a server did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The protocol's number for the reason.
    pub code: i64,
    /// The server's sentence.
    pub message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Error<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parameters<'a> {
    #[serde(borrow, default)]
    items: super::list::Beginning<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads a message.
    #[must_use]
    pub fn read(message: &'a [u8]) -> Self {
        // A list would be taken for an object's fields in their order of declaration.
        let is_object = message.trim_ascii_start().starts_with(b"{");
        let envelope = is_object.then(|| serde_json::from_slice(message).ok()).flatten();
        let Some(Envelope { id, method, params, result, error }) = envelope else {
            return Self::Nonsense;
        };
        let method = method.map(|method| serde_json::from_str::<String>(method.get()));
        match (id, method) {
            (Some(id), Some(Ok(method))) if is_name(id.get()) => {
                let items =
                    of::<Parameters<'_>>(params).map_or(0, |asked| asked.items.entries.len());
                Self::Question { id: id.get(), method: Cow::Owned(method), items }
            }
            (None, Some(Ok(_))) => Self::Notice,
            (Some(id), None) => match (id.get().parse(), error) {
                (Ok(id), None) => {
                    Self::Answer { id, outcome: Ok(result.map_or("null", RawValue::get)) }
                }
                (Ok(id), Some(error)) => Self::Answer { id, outcome: Err(failure(error)) },
                (Err(_), _) => Self::Nonsense,
            },
            _ => Self::Nonsense,
        }
    }
}

/// Whether JSON is a number or a short text, which is all that a question may be called.
fn is_name(json: &str) -> bool {
    json.len() <= 256 && json.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
}

fn failure(error: &RawValue) -> Failure {
    let read: Option<Error<'_>> = of(Some(error));
    let message = read.as_ref().and_then(|error| of::<String>(error.message));
    // Where in its own source a server failed is nothing for whoever asked.
    let message = message.map(|message| {
        let lines = message.lines().filter(|line| !line.trim_start().starts_with("at "));
        lines.collect::<Vec<_>>().join("\n")
    });
    let mut message = message.unwrap_or_else(|| String::from("it failed"));
    if let Some((end, _)) = message.char_indices().nth(MAX_SENTENCE) {
        message.truncate(end);
    }
    Failure { code: read.and_then(|error| of(error.code)).unwrap_or_default(), message }
}

/// What a server says of itself in answer to `initialize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Whether it can look for symbols in a whole project.
    pub finds_symbols: bool,
    /// Whether it says how it counts characters.
    pub counts: bool,
}

impl Capabilities {
    /// Reads the answer.
    #[must_use]
    pub fn read(result: &str) -> Self {
        #[derive(Deserialize)]
        struct Initialized<'a> {
            #[serde(borrow, default)]
            capabilities: Option<Said<'a>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said<'a> {
            #[serde(borrow, default)]
            workspace_symbol_provider: Option<&'a RawValue>,
            #[serde(borrow, default)]
            position_encoding: Option<&'a RawValue>,
        }
        let read = serde_json::from_str::<Initialized<'_>>(result).ok();
        let Some(said) = read.and_then(|read| read.capabilities) else { return Self::default() };
        let provider = said.workspace_symbol_provider;
        Self {
            finds_symbols: provider.is_some_and(|provider| provider.get() != "false"),
            counts: said.position_encoding.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> String {
        match Incoming::read(message.as_bytes()) {
            Incoming::Answer { id, outcome } => format!("{id}: {outcome:?}"),
            Incoming::Question { id, method, items } => format!("{id}? {method} {items}"),
            Incoming::Notice => "notice".into(),
            Incoming::Nonsense => "nonsense".into(),
        }
    }

    #[test]
    fn answers_questions_and_notices_are_told_apart() {
        for (message, wanted) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":[1, 2]}"#, r#"7: Ok("[1, 2]")"#),
            (r#"{"id":7,"result":null}"#, r#"7: Ok("null")"#),
            (r#"{"id":7}"#, r#"7: Ok("null")"#),
            (
                r#"{"id":7,"error":{"code":-32601,"message":"no"}}"#,
                r#"7: Err(Failure { code: -32601, message: "no" })"#,
            ),
            (
                r#"{"id":7,"error":{"message":"No Project.\nError: x\n    at y (z:1)"}}"#,
                r#"7: Err(Failure { code: 0, message: "No Project.\nError: x" })"#,
            ),
            (r#"{"id":7,"error":"x"}"#, r#"7: Err(Failure { code: 0, message: "it failed" })"#),
            (r#"{"id":"a","method":"m"}"#, r#""a"? m 0"#),
            (r#"{"id":1.5,"method":"m","params":{"items":[{}, 1]}}"#, "1.5? m 2"),
            (r#"{"method":"m","params":[]}"#, "notice"),
            (r#"{"id":null,"method":"m"}"#, "notice"),
            (r#"{"id":"7","result":1}"#, "nonsense"),
            (r#"{"id":-7,"result":1}"#, "nonsense"),
            (r#"{"id":{},"method":"m"}"#, "nonsense"),
            (r#"{"id":1,"method":1}"#, "nonsense"),
            ("{}", "nonsense"),
            ("[]", "nonsense"),
            (r#"[1, "m"]"#, "nonsense"),
            ("", "nonsense"),
            ("{\"id\":1,\"result\":}", "nonsense"),
        ] {
            assert_eq!(told(message), wanted, "{message}");
        }
        assert!(matches!(Incoming::read(b"\xff"), Incoming::Nonsense));
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let long = "ü".repeat(5000);
        let message = format!(r#"{{"id":1,"error":{{"message":"{long}"}}}}"#);
        let Incoming::Answer { outcome: Err(failure), .. } = Incoming::read(message.as_bytes())
        else {
            panic!("no answer");
        };
        assert_eq!(failure.message, "ü".repeat(MAX_SENTENCE));
    }

    #[test]
    fn a_server_says_what_it_can_do() {
        for (result, finds_symbols, counts) in [
            (r#"{"capabilities":{"workspaceSymbolProvider":true}}"#, true, false),
            (
                r#"{"capabilities":{"workspaceSymbolProvider":{"resolveProvider":true}}}"#,
                true,
                false,
            ),
            (r#"{"capabilities":{"workspaceSymbolProvider":false}}"#, false, false),
            (r#"{"capabilities":{"workspaceSymbolProvider":null}}"#, false, false),
            (r#"{"capabilities":{"positionEncoding":"utf-16"}}"#, false, true),
            (r#"{"capabilities":{}}"#, false, false),
            ("null", false, false),
        ] {
            let wanted = Capabilities { finds_symbols, counts };
            assert_eq!(Capabilities::read(result), wanted, "{result}");
        }
    }
}
