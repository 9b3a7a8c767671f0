//! The resolver's listeners.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::desk::{Desk, Outcome};
use super::question::MAX_QUESTION;

/// Connections of all sandboxes; each sandbox has a share that the packet filter holds it to.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may be idle, and how long its client may take to take an answer.
const IDLE: Duration = Duration::from_secs(10);
/// Questions on one connection.
const MAX_QUESTIONS: usize = 256;
/// The largest message of a stream.
const MAX_STREAM_ANSWER: usize = 65_535;
/// How long a listener rests after a failure, which would repeat itself at once.
const REST: Duration = Duration::from_millis(100);

/// Answers datagrams until the future is dropped.
pub(super) async fn udp(socket: UdpSocket, desk: Arc<Desk>) {
    let socket = Arc::new(socket);
    // One byte more than is looked at, so that a longer message is seen to be longer.
    let mut buffer = vec![0; MAX_QUESTION + 1];
    let mut under_way = JoinSet::new();
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_done) = under_way.join_next() => continue,
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "the resolver cannot receive");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        match desk.take(client.ip(), buffer.get(..length).unwrap_or_default()) {
            Outcome::Ignored => {}
            Outcome::Answered(question, answer) => {
                send(&socket, client, answer.encode(&question, question.payload)).await;
            }
            Outcome::Asked(question, turn) => {
                let (socket, desk) = (Arc::clone(&socket), Arc::clone(&desk));
                under_way.spawn(async move {
                    let answer = desk.ask(&question).await;
                    drop(turn);
                    send(&socket, client, answer.encode(&question, question.payload)).await;
                });
            }
        }
    }
}

/// Answers connections until the future is dropped.
pub(super) async fn tcp(listener: TcpListener, desk: Arc<Desk>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_done) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, client)) => {
                // Without room the connection is closed, which its client sees at once.
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let desk = Arc::clone(&desk);
                connections.spawn(async move {
                    converse(stream, client, &desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the resolver cannot accept a connection");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn send(socket: &UdpSocket, client: SocketAddr, answer: Option<Vec<u8>>) {
    let Some(answer) = answer else { return };
    if let Err(error) = socket.send_to(&answer, client).await {
        tracing::debug!(%client, %error, "an answer was not sent");
    }
}

/// Answers the questions of one connection in their order, until it is idle, wrong or closed.
async fn converse(mut stream: TcpStream, client: SocketAddr, desk: &Desk) {
    for _ in 0..MAX_QUESTIONS {
        let Ok(Some(message)) = timeout(IDLE, read_message(&mut stream)).await else { return };
        let (question, answer) = match desk.take(client.ip(), &message) {
            Outcome::Ignored => return,
            Outcome::Answered(question, answer) => (question, answer),
            Outcome::Asked(question, turn) => {
                let answer = desk.ask(&question).await;
                drop(turn);
                (question, answer)
            }
        };
        let Some(answer) = answer.encode(&question, MAX_STREAM_ANSWER) else { return };
        let Ok(length) = u16::try_from(answer.len()) else { return };
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        if !matches!(timeout(IDLE, stream.write_all(&framed)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = usize::from(stream.read_u16().await.ok()?);
    if length > MAX_QUESTION {
        return None;
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}
