//! `/process/session`: shells that last.

use pitlane_wire::toolbox::{
    CreateSessionRequest, Session, SessionCommand, SessionCommandLogsResponse,
    SessionExecuteRequest, SessionExecuteResponse, SessionSendInputRequest,
};

use crate::openapi::operation::{Content, Operation, boolean};

const FOLLOW: &str = "Whether to stay until the command is over: then the answer is a stream of bytes, as a WebSocket \
                      when asked for one.";
const LOG: &str = "What the command has said so far.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("POST /process/session", "Starts a shell that keeps its state")
            .reads::<CreateSessionRequest>()
            .succeeds(201, "It can be used.")
            .refuses(&[409, 429]),
        Operation::new("GET /process/session", "Lists sessions and their commands")
            .answers::<Vec<Session>>(200, "All but the image's own program."),
        Operation::new("GET /process/session/entrypoint", "Tells of the image's own program")
            .answers::<Session>(200, "A session with one command, or with none."),
        Operation::new(
            "GET /process/session/entrypoint/logs",
            "Reads what the image's own program says",
        )
        .query("follow", boolean(), FOLLOW)
        .answers::<SessionCommandLogsResponse>(200, LOG)
        .gives(200, Content::Bytes("application/octet-stream"), LOG)
        .refuses(&[429]),
        Operation::new(
            "DELETE /process/session/{sessionId}",
            "Ends a session and all its processes",
        )
        .succeeds(204, "All of them are gone.")
        .refuses(&[404]),
        Operation::new("GET /process/session/{sessionId}", "Tells of a session and its commands")
            .answers::<Session>(200, "The session.")
            .refuses(&[404]),
        Operation::new(
            "GET /process/session/{sessionId}/command/{commandId}",
            "Tells of a command and how it ended",
        )
        .answers::<SessionCommand>(200, "The command.")
        .refuses(&[404, 410]),
        Operation::new(
            "POST /process/session/{sessionId}/command/{commandId}/input",
            "Sends a line to a command's input",
        )
        .reads::<SessionSendInputRequest>()
        .succeeds(204, "The input has it.")
        .refuses(&[404, 410]),
        Operation::new(
            "GET /process/session/{sessionId}/command/{commandId}/logs",
            "Reads what a command says",
        )
        .query("follow", boolean(), FOLLOW)
        .answers::<SessionCommandLogsResponse>(200, LOG)
        .gives(200, Content::Bytes("application/octet-stream"), LOG)
        .refuses(&[404, 429]),
        Operation::new(
            "POST /process/session/{sessionId}/exec",
            "Runs a command in a session, after those before it",
        )
        .reads::<SessionExecuteRequest>()
        .answers::<SessionExecuteResponse>(200, "It has ended.")
        .answers::<SessionExecuteResponse>(202, "It runs, or waits for those before it.")
        .refuses(&[404, 410, 429]),
    ]
}
