//! MCP over standard input and output: one client, which started this process.

use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::stdio_pipes;
use rmcp::{RoleServer, serve_server};

use crate::server::Server;

/// The longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 8 << 20;

/// Why serving ended before the client went.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What came first was not MCP.
    #[error("the client did not begin as MCP has it")]
    Begin(#[source] Box<ServerInitializeError>),
    /// The task that serves broke.
    #[error("serving broke off")]
    Broken(#[from] tokio::task::JoinError),
}

/// Serves whoever has the other ends of standard input and output, until they close them or the server ends. Calls that
/// are under way then are cancelled, and with them their commands.
///
/// # Errors
///
/// [`ServeError`]: the client speaks something else, or this program is broken.
pub async fn serve_stdio(server: Server) -> Result<(), ServeError> {
    let (input, output) = stdio_pipes();
    let transport = AsyncRwTransport::<RoleServer, _, _>::new_server(input, output)
        .with_max_line_length(MAX_LINE_BYTES);
    let ending = server.ending().clone();
    let serving = match Box::pin(serve_server(server, transport)).await {
        Ok(serving) => serving,
        // A client that goes before it says anything has changed its mind.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(ServeError::Begin(Box::new(error))),
    };
    let token = serving.cancellation_token();
    let waiting = serving.waiting();
    tokio::pin!(waiting);
    let ended = tokio::select! {
        ended = &mut waiting => ended?,
        () = ending.cancelled() => {
            token.cancel();
            waiting.await?
        }
    };
    if let QuitReason::JoinError(error) = ended {
        return Err(error.into());
    }
    Ok(())
}
