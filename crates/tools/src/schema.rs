//! JSON schemas as small as they can be: every list of tools has them all, and a model reads it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// The schema of what an operation takes.
pub(crate) fn input<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    slim(&mut schema, Nulls::Hide);
    without_description(schema)
}

/// The schema of what an operation answers with.
pub(crate) fn output<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    slim(&mut schema, Nulls::Tell);
    without_description(schema)
}

#[derive(Clone, Copy, PartialEq)]
enum Nulls {
    /// A `null` is the same as nothing: saying so twice tells a model nothing.
    Hide,
    Tell,
}

fn without_description(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("description");
    }
    schema
}

fn slim(schema: &mut Value, nulls: Nulls) {
    let Value::Object(schema) = schema else { return };
    for noise in ["$schema", "title", "format", "default"] {
        schema.remove(noise);
    }
    // What is counted is never less than nothing, in an answer.
    if nulls == Nulls::Tell {
        schema.remove("minimum");
        schema.remove("maximum");
    }
    if nulls == Nulls::Hide {
        without_null(schema);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(|property| slim(property, nulls));
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            slim(inner, nulls);
        }
    }
}

fn without_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert(String::from("type"), only);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_says_no_more_than_it_must() {
        let wanted = json!({
            "type": "object",
            "properties": {
                "sandbox_id": {"type": "string", "description": "Id or name"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "Port of the web server"},
                "expires_in_seconds": {"type": "integer", "minimum": 0, "description": "Default 3600"},
            },
            "required": ["sandbox_id", "port"],
        });
        assert_eq!(input::<crate::GetPreviewUrl>(), wanted);
    }

    #[test]
    fn an_answer_says_what_may_be_null() {
        let schema = output::<crate::output::Created>();
        assert_eq!(schema["properties"]["preview_url"], json!({"type": ["string", "null"]}));
    }
}
