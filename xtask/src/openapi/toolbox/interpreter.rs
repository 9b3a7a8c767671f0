//! `/process/interpreter`: contexts of Python whose state lasts.

use pitlane_wire::toolbox::{
    ContextDeleted, CreateContextRequest, InterpreterContext, ListContextsResponse,
};

use crate::openapi::operation::Operation;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /process/interpreter/context", "Makes a context for code")
            .reads::<CreateContextRequest>()
            .answers::<InterpreterContext>(200, "It is ready.")
            .refuses(&[429]),
        Operation::new("GET /process/interpreter/context", "Lists contexts")
            .answers::<ListContextsResponse>(200, "All but the default one."),
        Operation::new(
            "DELETE /process/interpreter/context/{id}",
            "Ends a context and all its processes",
        )
        .answers::<ContextDeleted>(200, "All of them are gone.")
        .refuses(&[404]),
        Operation::new("GET /process/interpreter/execute", "Runs code in a context")
            .succeeds(
                101,
                "A WebSocket: the client says what to run in its first message, and hears what comes of it.",
            )
            .refuses(&[426]),
    ]
}
