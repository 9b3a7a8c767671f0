//! Reading the fields of a map one by one, each fault noted with its place. What nobody read is unknown.

use std::cell::RefCell;
use std::str::FromStr;

use super::Fault;
use super::yaml::{Entry, Node, Place, Value};

/// How similar a name must be to be taken for the one that was meant.
const SIMILAR: f64 = 0.75;

/// How much of a key or a reason is told.
const LONGEST: usize = 300;

/// What all parts of a file share: the environment, and the faults so far.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    findings: RefCell<Findings>,
}

/// What there is to say about a file.
#[derive(Default)]
pub(super) struct Findings {
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
    /// What has no effect.
    pub(super) notes: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, findings: RefCell::default() }
    }

    pub(super) fn fault(&self, place: Place, key: &str, why: &str) {
        self.findings.borrow_mut().faults.push(finding(place, key, why));
    }

    fn note(&self, place: Place, key: &str, why: &str) {
        self.findings.borrow_mut().notes.push(finding(place, key, why));
    }

    /// Everything, in the order of the file.
    pub(super) fn into_findings(self) -> Findings {
        let mut findings = self.findings.into_inner();
        for list in [&mut findings.faults, &mut findings.notes] {
            list.sort_by_key(|found| (found.line, found.column));
        }
        findings
    }

    /// A text with its variables filled in.
    fn resolve(&self, place: Place, key: &str, text: &str) -> Option<String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            resolved.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                self.fault(place, key, "has '${' without '}'");
                return None;
            };
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            if !is_name {
                self.fault(place, key, &format!("'${{{name}}}' names no variable"));
                return None;
            }
            let Some(value) = (self.variable)(name) else {
                let why = format!("the variable {name} is not set; export {name}=…");
                self.fault(place, key, &why);
                return None;
            };
            resolved.push_str(&value);
            rest = after;
        }
        resolved.push_str(rest);
        Some(resolved)
    }
}

fn finding(place: Place, key: &str, why: &str) -> Fault {
    let Place { line, column } = place;
    let short = |text: &str| text.chars().take(LONGEST).collect();
    Fault { line, column, key: short(key), why: short(why) }
}

/// The fields of one map.
pub(super) struct Fields<'a> {
    reader: &'a Reader<'a>,
    entries: &'a [Entry],
    key: String,
    pub(super) place: Place,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a node, if it is a map.
    pub(super) fn of(reader: &'a Reader<'a>, node: &'a Node, key: String) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader.fault(node.place, &key, "is not a map of keys and values");
            return None;
        };
        Some(Self { reader, entries, key, place: node.place, known: Vec::new() })
    }

    /// The full name of a key.
    fn path(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    pub(super) fn fault(&self, name: &str, why: &str) {
        self.reader.fault(self.place_of(name), &self.path(name), why);
    }

    /// Notes that a field has no effect.
    pub(super) fn note(&self, name: &str, why: &str) {
        self.reader.note(self.place_of(name), &self.path(name), why);
    }

    fn place_of(&self, name: &str) -> Place {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        entry.map_or(self.place, |entry| entry.node.place)
    }

    /// A field that may be there and is not looked at.
    pub(super) fn pass_over(&mut self, name: &'static str) {
        self.known.push(name);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.name == name && !entry.node.is_null())
    }

    /// A field; `null` is the same as none.
    fn node(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        (!entry.node.is_null()).then_some(&entry.node)
    }

    /// A text, with its variables filled in.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let node = self.node(name)?;
        let Value::Scalar { text, .. } = &node.value else {
            self.fault(name, "is not a text");
            return None;
        };
        self.reader.resolve(node.place, &self.path(name), text)
    }

    /// A text that is a value of a type.
    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &'static str,
    ) -> Option<T> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                // Of a value that a variable brought along nothing is repeated.
                let written = self.written(name);
                self.fault(name, &why.to_string().replace(&text, written));
                None
            }
        }
    }

    /// A text as the file has it, with the names of its variables.
    pub(super) fn written(&self, name: &str) -> &'a str {
        match self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.node.value) {
            Some(Value::Scalar { text, .. }) => text,
            Some(Value::List(_) | Value::Map(_)) | None => "",
        }
    }

    /// Yes or no. As a text it may come from a variable.
    pub(super) fn is(&mut self, name: &'static str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => {
                self.fault(name, "is neither true nor false");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, name: &'static str, least: u32, most: u32) -> Option<u32> {
        let number = self.text(name)?.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.fault(name, &format!("is not a whole number from {least} to {most}"));
        }
        number
    }

    /// The items of a list, each with its key.
    pub(super) fn list(&mut self, name: &'static str) -> Option<Vec<(&'a Node, String)>> {
        let node = self.node(name)?;
        let Value::List(items) = &node.value else {
            self.fault(name, "is not a list");
            return Some(Vec::new());
        };
        let path = self.path(name);
        Some(items.iter().enumerate().map(|(n, item)| (item, format!("{path}[{n}]"))).collect())
    }

    /// A list of words that are among those that are known.
    pub(super) fn words(&mut self, name: &'static str, known: &[&str]) -> Option<Vec<String>> {
        let items = self.list(name)?;
        let mut words = Vec::new();
        for (item, key) in items {
            match &item.value {
                Value::Scalar { text, .. } if known.contains(&text.as_str()) => {
                    words.push(text.clone());
                }
                Value::Scalar { text, .. } => {
                    let why = format!("'{text}' is unknown{}", meant(text, known));
                    self.reader.fault(item.place, &key, &why);
                }
                Value::List(_) | Value::Map(_) => {
                    self.reader.fault(item.place, &key, "is not a text");
                }
            }
        }
        Some(words)
    }

    /// A map of texts, with their variables filled in and where each stands.
    pub(super) fn pairs(&mut self, name: &'static str) -> Vec<(String, String)> {
        let Some(node) = self.node(name) else { return Vec::new() };
        let Value::Map(entries) = &node.value else {
            self.fault(name, "is not a map of keys and values");
            return Vec::new();
        };
        let path = self.path(name);
        let mut pairs = Vec::new();
        for entry in entries {
            let key = format!("{path}.{}", entry.name);
            match &entry.node.value {
                Value::Scalar { text, .. } => {
                    if let Some(text) = self.reader.resolve(entry.node.place, &key, text) {
                        pairs.push((entry.name.clone(), text));
                    }
                }
                Value::List(_) | Value::Map(_) => {
                    self.reader.fault(entry.node.place, &key, "is not a text");
                }
            }
        }
        pairs
    }

    /// A map inside.
    pub(super) fn fields(&mut self, name: &'static str) -> Option<Self> {
        let node = self.node(name)?;
        Self::of(self.reader, node, self.path(name))
    }

    /// Notes every field that nobody knows.
    pub(super) fn finish(self) {
        for entry in self.entries {
            if !self.known.contains(&entry.name.as_str()) {
                let mut why = String::from("is unknown here");
                why.push_str(&meant(&entry.name, &self.known));
                self.reader.fault(entry.place, &self.path(&entry.name), &why);
            }
        }
    }
}

/// The known name that is nearest to one that is not, as a question.
pub(super) fn meant(name: &str, known: &[&str]) -> String {
    let lower = name.to_lowercase();
    let near = known
        .iter()
        .map(|known| (strsim::jaro_winkler(&lower, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    near.map(|(_, known)| format!("; did you mean '{known}'?")).unwrap_or_default()
}
