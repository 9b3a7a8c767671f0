//! `/process`: commands and code.

use pitlane_wire::toolbox::{CodeRunRequest, CodeRunResponse, ExecuteRequest, ExecuteResponse};

use crate::openapi::operation::Operation;

/// What both answer.
const ENDED: &str = "It ended by itself; whether it did well is the exit code's matter.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /process/execute", "Runs a command in a shell, to its end")
            .reads::<ExecuteRequest>()
            .answers::<ExecuteResponse>(200, ENDED),
        Operation::new("POST /process/code-run", "Runs code in a new interpreter, to its end")
            .reads::<CodeRunRequest>()
            .answers::<CodeRunResponse>(200, ENDED),
    ]
}
