//! `/process/pty`: terminals.

use pitlane_wire::toolbox::{
    MAX_PTY_SIDE, PtyCreateRequest, PtyCreateResponse, PtyKilled, PtyListResponse,
    PtyResizeRequest, PtySessionInfo,
};

use crate::openapi::operation::{Operation, integer, text, word};

const CONNECTED: &str =
    "A WebSocket: input and output in binary messages, and in text messages what became of it.";

pub(super) fn operations() -> Vec<Operation> {
    let side = || integer(1, MAX_PTY_SIDE.into());
    vec![
        Operation::new("POST /process/pty", "Makes a terminal with a shell")
            .reads::<PtyCreateRequest>()
            .answers::<PtyCreateResponse>(201, "It is there.")
            .refuses(&[409, 429]),
        Operation::new("GET /process/pty", "Lists terminals")
            .answers::<PtyListResponse>(200, "Those whose shells have not ended."),
        Operation::new("GET /process/pty/{sessionId}", "Tells of a terminal")
            .answers::<PtySessionInfo>(200, "What is known of it.")
            .refuses(&[404]),
        Operation::new("DELETE /process/pty/{sessionId}", "Kills all that runs in a terminal")
            .answers::<PtyKilled>(200, "It is gone.")
            .refuses(&[404]),
        Operation::new("POST /process/pty/{sessionId}/resize", "Changes a terminal's size")
            .reads::<PtyResizeRequest>()
            .answers::<PtySessionInfo>(200, "The terminal as it is now.")
            .refuses(&[404, 410]),
        Operation::new("GET /process/pty/{sessionId}/connect", "Connects to a terminal")
            .succeeds(101, CONNECTED)
            .refuses(&[404, 426, 429]),
        Operation::new("GET /process/pty/create-connect", "Makes a terminal and connects to it")
            .needs("id", word(), "What it will be called.")
            .query("cols", side(), "How wide it is, in characters; 80 without it.")
            .query("rows", side(), "How high it is, in lines; 24 without it.")
            .query("cwd", text(), "Where the shell starts; the work folder without it.")
            .succeeds(101, CONNECTED)
            .refuses(&[409, 426, 429]),
    ]
}
