//! Schemas of the wire types.

use anyhow::ensure;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Where a document keeps the schemas that have a name.
const PLACE: &str = "/components/schemas";

/// What was asked for so far, with everything it refers to.
///
/// A type has one schema for being read, where what has a default may be left out, and one for being written, where
/// what is always written is required.
#[derive(Debug)]
pub(super) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
            settings.transforms.push(Box::new(Bounds));
        });
        Self {
            read: settings.clone().for_deserialize().into_generator(),
            written: settings.for_serialize().into_generator(),
        }
    }

    /// A type as a request brings it.
    pub(super) fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// A type as an answer has it.
    pub(super) fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    /// Every schema that has a name.
    ///
    /// # Errors
    ///
    /// A type is read in one way and written in another, and so would need two names.
    pub(super) fn named(mut self) -> anyhow::Result<Map<String, Value>> {
        let mut named = self.written.take_definitions(true);
        for (name, schema) in self.read.take_definitions(true) {
            let other = named.insert(name.clone(), schema.clone());
            ensure!(
                other.is_none_or(|other| other == schema),
                "{name} is read differently from how it is written: make it two types"
            );
        }
        Ok(named)
    }
}

/// Says the largest value of a whole number, which its format alone leaves open.
#[derive(Debug, Clone)]
struct Bounds;

impl Transform for Bounds {
    fn transform(&mut self, schema: &mut Schema) {
        let format = schema.get("format").and_then(Value::as_str);
        let bounds = match format {
            Some("uint16") => Some((0, i64::from(u16::MAX))),
            Some("uint32") => Some((0, i64::from(u32::MAX))),
            Some("int32") => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
            Some("uint64") => Some((0, i64::MAX)),
            Some("int64") => Some((i64::MIN, i64::MAX)),
            _ => None,
        };
        if let Some((minimum, maximum)) = bounds {
            schema.insert("minimum".to_owned(), minimum.into());
            schema.insert("maximum".to_owned(), maximum.into());
        }
        transform_subschemas(self, schema);
    }
}
