//! Bytes as they go over the wire, for what no well-behaved client would send.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::DEADLINE;
use crate::server::Server;

/// An answer taken apart by the simplest reading of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Told {
    /// The message of a refusal in the reference's form, which every refusal of the rim has.
    pub(crate) fn message(&self) -> String {
        let body: Value = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body));
        assert_eq!(body["statusCode"], self.status, "{body}");
        assert_eq!(body["source"], "DAYTONA_API", "{body}");
        body["message"].as_str().unwrap().to_owned()
    }
}

/// A connection on which anything can be said.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    /// Sends bytes. A server that hung up has decided already.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> bool {
        let said = self.0.write_all(bytes);
        tokio::time::timeout(DEADLINE, said).await.expect("the server does not read").is_ok()
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn shut(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads one answer whose length is told by its head; `None` if the server hung up instead.
    pub(crate) async fn answer(&mut self) -> Option<Told> {
        tokio::time::timeout(DEADLINE, self.read()).await.expect("no answer came")
    }

    async fn read(&mut self) -> Option<Told> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            return Box::pin(self.read()).await;
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Told { status, body: String::from_utf8(body).unwrap() })
    }

    /// Everything that is said until the server hangs up.
    pub(crate) async fn rest(&mut self) -> String {
        let mut said = Vec::new();
        let read = self.0.read_to_end(&mut said);
        // A server that resets the connection has said what it had to say.
        let _ended = tokio::time::timeout(DEADLINE, read).await.expect("it stays open");
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Waits for the server to hang up, and says whether it did without another word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = self.0.read(&mut byte);
        !matches!(tokio::time::timeout(DEADLINE, read).await.expect("it stays open"), Ok(1))
    }
}

/// A head with a key; `rest` follows the first line.
pub(crate) fn head(server: &Server, first: &str, rest: &str) -> String {
    format!("{first}\r\nhost: pit.test\r\nauthorization: Bearer {}\r\n{rest}\r\n", server.key)
}

/// Sends bytes over a connection of their own and reads one answer.
pub(crate) async fn ask(server: &Server, bytes: &[u8]) -> Option<Told> {
    let mut wire = Wire::connect(server.address).await;
    wire.say(bytes).await;
    wire.answer().await
}

/// How many sandboxes there are.
pub(crate) async fn sandboxes(server: &Server) -> usize {
    server.get("/api/sandbox").await.json()["items"].as_array().unwrap().len()
}
