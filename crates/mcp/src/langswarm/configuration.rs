//! The `tools:` list of a LangSwarm configuration: which backends the tools speak to, and how.
//!
//! Reads what LangSwarm's own files say (`daytona_environment`, `remote_mcp`, `mcpremote`) and refuses what it does not
//! know: a key that is misspelt is told with its place and the name that was probably meant, and all faults of a file at
//! once. Values may name variables of the environment, `${NAME}`; a variable that is not set is a fault, and no message
//! repeats what a variable or a key holds. What is LangSwarm's own and changes nothing here is told as well, as a note.

mod fields;
mod tool;
mod yaml;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

pub use tool::{Backend, RemoteServer, Sandboxes, Tool};

use fields::{Fields, Reader};

/// The tools of a file, in its order. There is at least one, and no two have the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    tools: Vec<Tool>,
    notes: Vec<String>,
}

/// What is wrong with a file: all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationError {
    file: PathBuf,
    faults: Vec<Fault>,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1 on.
    pub line: usize,
    /// The column, from 1 on.
    pub column: usize,
    /// The key, such as `tools[0].config.timeout`; empty if it is the text that is wrong.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

/// Sections of LangSwarm's files that say nothing about tools: they may be there and are not looked at.
const OTHER_SECTIONS: [&str; 12] = [
    "agents",
    "brokers",
    "description",
    "langswarm",
    "memory",
    "name",
    "plugins",
    "queues",
    "registries",
    "retrievers",
    "version",
    "workflows",
];

impl Configuration {
    /// Understands the text of a file. `variable` tells the environment's variables.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`]: says where, and what to write instead.
    pub fn parse(
        file: &Path,
        text: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigurationError> {
        let refused = |faults| ConfigurationError { file: file.to_owned(), faults };
        let root = yaml::read(text).map_err(|fault| refused(vec![fault]))?;
        let reader = Reader::new(variable);
        let tools = tools(&reader, &root);
        let found = reader.into_findings();
        match tools {
            Some(tools) if found.faults.is_empty() => {
                let notes = found.notes.iter().map(|note| note.told_of(file)).collect();
                Ok(Self { tools, notes })
            }
            Some(_) | None => Err(refused(found.faults)),
        }
    }

    /// The tools, in the file's order.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// What the file says without any effect here, in its order: `FILE:LINE:COLUMN: KEY: why`.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The tool of this id; the first one if none is named.
    #[must_use]
    pub fn tool(&self, id: Option<&str>) -> Option<&Tool> {
        match id {
            Some(id) => self.tools.iter().find(|tool| tool.id == id),
            None => self.tools.first(),
        }
    }
}

fn tools(reader: &Reader<'_>, root: &yaml::Node) -> Option<Vec<Tool>> {
    let mut fields = Fields::of(reader, root, String::new())?;
    for section in OTHER_SECTIONS {
        fields.pass_over(section);
    }
    let list = fields.list("tools");
    let places: Vec<_> = list.iter().flatten().map(|(node, _)| node.place).collect();
    let tools: Vec<Option<Tool>> =
        list.iter().flatten().map(|(node, key)| tool::read(reader, node, key.clone())).collect();
    fields.finish();
    if list.is_none() {
        reader.fault(root.place, "tools", "is missing: a list of tools");
    } else if tools.is_empty() {
        reader.fault(root.place, "tools", "is empty: name at least one tool");
    }
    let mut known = std::collections::BTreeSet::new();
    for (number, (tool, place)) in tools.iter().zip(places).enumerate() {
        if let Some(tool) = tool
            && !known.insert(tool.id.as_str())
        {
            let why = format!("'{}' is the id of another tool of this file", tool.id);
            reader.fault(place, &format!("tools[{number}].id"), &why);
        }
    }
    tools.into_iter().collect()
}

impl ConfigurationError {
    /// What is wrong, in the order of the file.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl Fault {
    fn told_of(&self, file: &Path) -> String {
        let Self { line, column, key, why } = self;
        let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
        format!("{}:{line}:{column}: {key}{why}", file.display())
    }
}

/// A line for each fault: `FILE:LINE:COLUMN: KEY: what is wrong`.
impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            let end = if number + 1 < self.faults.len() { "\n" } else { "" };
            write!(f, "{}{end}", fault.told_of(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigurationError {}
