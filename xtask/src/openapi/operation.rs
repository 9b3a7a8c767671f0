//! One operation, as the tables describe it.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::schemas::Schemas;

/// A schema that is made when its document is.
type Make = fn(&mut Schemas) -> Value;

/// One operation: what it takes and what it answers. Who may ask is not its matter.
#[derive(Debug)]
pub(super) struct Operation {
    /// `GET /sandbox/{id}`, as `openapi/compat.toml` names it.
    pub(super) key: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Content>,
    pub(super) answers: Vec<Answer>,
    /// Statuses of refusals beside those that every operation of its interface has.
    pub(super) refusals: Vec<u16>,
}

/// A parameter in the query or a header.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) is_required: bool,
    pub(super) about: &'static str,
    pub(super) schema: Value,
}

/// A body.
#[derive(Debug)]
pub(super) enum Content {
    /// JSON of a wire type.
    Json(Make),
    /// A form with files and texts, by this schema.
    Form(Value),
    /// Bytes of this media type.
    Bytes(&'static str),
}

/// A success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) content: Option<Content>,
}

impl Operation {
    pub(super) const fn new(key: &'static str, summary: &'static str) -> Self {
        Self {
            key,
            summary,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    fn parameter(
        mut self,
        (name, place): (&'static str, &'static str),
        is_required: bool,
        schema: Value,
        about: &'static str,
    ) -> Self {
        self.parameters.push(Parameter { name, place, is_required, about, schema });
        self
    }

    /// A parameter of the query that may be left out.
    pub(super) fn query(self, name: &'static str, schema: Value, about: &'static str) -> Self {
        self.parameter((name, "query"), false, schema, about)
    }

    /// A parameter of the query that must be there.
    pub(super) fn needs(self, name: &'static str, schema: Value, about: &'static str) -> Self {
        self.parameter((name, "query"), true, schema, about)
    }

    /// A header that may be left out.
    pub(super) fn header(self, name: &'static str, schema: Value, about: &'static str) -> Self {
        self.parameter((name, "header"), false, schema, about)
    }

    /// All of `parameters`.
    pub(super) fn queries(
        self,
        parameters: impl IntoIterator<Item = (&'static str, Value, &'static str)>,
    ) -> Self {
        parameters
            .into_iter()
            .fold(self, |operation, (name, schema, about)| operation.query(name, schema, about))
    }

    /// A body of JSON.
    pub(super) fn reads<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Content::Json(Schemas::read::<T>));
        self
    }

    /// A body that is no JSON.
    pub(super) fn takes(mut self, content: Content) -> Self {
        self.body = Some(content);
        self
    }

    /// A success with JSON.
    pub(super) fn answers<T: JsonSchema>(mut self, status: u16, about: &'static str) -> Self {
        let content = Some(Content::Json(Schemas::written::<T>));
        self.answers.push(Answer { status, about, content });
        self
    }

    /// A success with another body.
    pub(super) fn gives(mut self, status: u16, content: Content, about: &'static str) -> Self {
        self.answers.push(Answer { status, about, content: Some(content) });
        self
    }

    /// A success without a body.
    pub(super) fn succeeds(mut self, status: u16, about: &'static str) -> Self {
        self.answers.push(Answer { status, about, content: None });
        self
    }

    /// Statuses with which it is refused.
    pub(super) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }
}

/// Any text.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// A text that is not empty.
pub(super) fn word() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

/// A date, RFC 3339.
pub(super) fn date() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// `true` or `false`.
pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// A whole number.
pub(super) fn integer(minimum: u32, maximum: u32) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
}

/// One of a few words.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// Any number of texts, the parameter once for each.
pub(super) fn list() -> Value {
    json!({ "type": "array", "items": text() })
}

/// An object of texts, as JSON in one text.
pub(super) fn json_object() -> Value {
    json!({
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": { "type": "object", "additionalProperties": text() },
    })
}
