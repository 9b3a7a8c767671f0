//! The server's table of what it cannot do.

use std::fmt::Write as _;

use super::row::{Coverage, Operations};

const HEADER: &str = "\
//! Operations of the reference that this server does not have. Written by `cargo xtask compat`.

use super::Missing;

#[rustfmt::skip]
pub(super) const MISSING: &[Missing] = &[
";

/// The text of the table for these answers.
pub(super) fn of(coverage: &Coverage, operations: &Operations) -> String {
    let mut text = HEADER.to_owned();
    for operation in operations.control.all() {
        let Some(row) = coverage.control.get(&operation.key()) else { continue };
        if row.status.is_served() {
            continue;
        }
        let _infallible = writeln!(
            text,
            "    Missing {{ method: {:?}, path: {:?}, id: {:?}, why: {:?} }},",
            operation.method,
            operation.path,
            operation.id,
            row.why.as_deref().unwrap_or_default(),
        );
    }
    text.push_str("];\n");
    text
}
