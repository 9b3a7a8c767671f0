//! Which crate may depend on which.
//!
//! The table is the design: an arrow that is not in it is a finding, in every kind of dependency but those of tests.

use anyhow::Context as _;
use toml::{Table, Value};

use super::Finding;
use super::source::Tree;

/// Every crate, with the crates of ours it may depend on.
const MAY_DEPEND_ON: [(&str, &[&str]); 23] = [
    ("api", &["control", "model", "wire"]),
    ("build", &["driver", "model", "wire"]),
    ("client", &["signature", "wire"]),
    ("control", &["build", "driver", "fault", "model", "storage", "store"]),
    ("daemon", &["wire", "sys"]),
    ("driver", &["model"]),
    ("engine", &["driver", "fault", "model", "image", "network", "objects", "sys", "wire"]),
    ("fault", &[]),
    ("image", &["fault", "model", "sys"]),
    ("mcp", &["tools"]),
    ("model", &[]),
    ("network", &["model", "sys"]),
    ("objects", &["fault", "signature", "sys"]),
    ("pitlane", PITLANE),
    ("s3", &["control", "model", "storage"]),
    ("signature", &[]),
    ("storage", &["fault", "model"]),
    ("store", &["fault", "model"]),
    ("sys", &[]),
    ("tools", &["client", "wire"]),
    ("wire", &[]),
    ("bench", &[]),
    ("xtask", &["wire"]),
];

/// The composition root depends on whatever it composes.
const PITLANE: &[&str] = &[
    "api", "build", "client", "control", "driver", "engine", "fault", "image", "mcp", "model",
    "network", "objects", "s3", "storage", "store", "sys", "tools", "wire",
];

/// Crates that are not in `crates`.
const OUTSIDE: [&str; 2] = ["bench", "xtask"];

/// Packages of others that only some crates may depend on: what each "alone touches".
const CONFINED: [(&str, &[&str]); 7] = [
    ("rmcp", &["mcp"]),
    ("rusqlite", &["store"]),
    ("axum", &["api", "daemon", "mcp", "s3"]),
    ("s3s", &["s3"]),
    ("socketioxide", &["api"]),
    ("seccompiler", &["sys"]),
    ("clap", &["pitlane", "xtask"]),
];

/// Checks every manifest against the tables.
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let folders = tree.crates().into_iter().map(|name| (name, format!("crates/{name}/Cargo.toml")));
    for (name, path) in folders.chain(OUTSIDE.map(|name| (name, format!("{name}/Cargo.toml")))) {
        let Some(manifest) = tree.file(&path) else { continue };
        let manifest: Table =
            toml::from_str(&manifest.text).with_context(|| format!("cannot understand {path}"))?;
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name)
        else {
            findings.push(format!("{path}: a crate without a row in the table of dependencies"));
            continue;
        };
        for dependency in dependencies(&manifest) {
            if let Some(fault) = fault(name, allowed, &dependency) {
                findings.push(format!("{path}: {fault}"));
            }
        }
    }
    Ok(findings)
}

fn fault(name: &str, allowed: &[&str], dependency: &str) -> Option<String> {
    if let Some(ours) = dependency.strip_prefix("pitlane-") {
        return (!allowed.contains(&ours)).then(|| format!("{name} may not depend on {ours}"));
    }
    if name == "model" && dependency != "thiserror" {
        return Some(format!("model depends on thiserror alone, not on {dependency}"));
    }
    let (_, users) = CONFINED.iter().find(|(package, _)| *package == dependency)?;
    (!users.contains(&name))
        .then(|| format!("only {} may depend on {dependency}", users.join(" and ")))
}

/// The dependencies a crate is built with, its tests' left out, those for one target included.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(tables)
        .flat_map(|table| [table.get("dependencies"), table.get("build-dependencies")])
        .flatten()
        .filter_map(Value::as_table)
        .flat_map(|table| table.iter())
        .map(|(key, value)| {
            // A renamed dependency counts by its package's name.
            value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned()
        })
        .collect()
}
