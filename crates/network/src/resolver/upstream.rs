//! The name servers of the far namespace.
//!
//! Every question gets a socket of its own, so that a forged answer has to guess a port as well as a number.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{Instant, timeout};

use super::answer::answers;
use crate::config::Upstreams;
use crate::resident::{ResidentGone, Residents};

const PORT: u16 = 53;
/// How long one server has. Clients wait five seconds in all.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// How often the list of servers is gone through.
const ROUNDS: usize = 2;
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_millis(4500);
/// As many servers as C libraries look at.
const MAX_SERVERS: usize = 3;
/// How long the file of servers is not looked at again.
const FILE_AGE: Duration = Duration::from_secs(5);
/// What fits into a packet on any path.
const PAYLOAD: u16 = 1232;

/// Asks name servers.
#[derive(Debug)]
pub(super) struct Upstream {
    far: Arc<Residents>,
    servers: Servers,
}

#[derive(Debug)]
enum Servers {
    Fixed(Vec<SocketAddr>),
    File { path: PathBuf, read: Mutex<Option<(Instant, Vec<SocketAddr>)>> },
}

/// Why nobody has answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("the host has no name server")]
    NoServer,
    #[error("no name server has answered in time")]
    Deadline,
    #[error("cannot write the question")]
    Encode(#[source] ProtoError),
    #[error("cannot ask {server}")]
    Io {
        server: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error(transparent)]
    Gone(#[from] ResidentGone),
}

impl Upstream {
    pub(super) fn new(far: Arc<Residents>, upstreams: Upstreams) -> Self {
        let servers = match upstreams {
            Upstreams::Fixed(servers) => Servers::Fixed(servers),
            Upstreams::File(path) => Servers::File { path, read: Mutex::default() },
        };
        Self { far, servers }
    }

    /// Asks one server after the other until one knows.
    pub(super) async fn ask(&self, query: &Query) -> Result<Message, AskError> {
        timeout(DEADLINE, self.ask_all(query)).await.unwrap_or(Err(AskError::Deadline))
    }

    async fn ask_all(&self, query: &Query) -> Result<Message, AskError> {
        let servers = self.servers.list().await;
        let mut outcome = Err(AskError::NoServer);
        for server in servers.iter().copied().cycle().take(servers.len() * ROUNDS) {
            outcome = timeout(ATTEMPT, self.ask_one(server, query))
                .await
                .unwrap_or(Err(AskError::Deadline));
            match &outcome {
                Ok(message) if is_final(message.metadata.response_code) => return outcome,
                Ok(_) | Err(_) => {}
            }
        }
        outcome
    }

    async fn ask_one(&self, server: SocketAddr, query: &Query) -> Result<Message, AskError> {
        let failed = |cause| AskError::Io { server, cause };
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        message.set_edns(edns);
        let bytes = message.to_vec().map_err(AskError::Encode)?;
        let answers_us = |candidate: &Message| {
            candidate.metadata.message_type == MessageType::Response
                && candidate.metadata.id == message.metadata.id
                && answers(candidate, query)
        };

        let local = SocketAddr::new(unspecified(server), 0);
        let socket = self.far.run(move |_far| udp_socket(local)).await?.map_err(failed)?;
        let answer = ask_udp(socket, server, &bytes, answers_us).await.map_err(failed)?;
        if !answer.metadata.truncation {
            return Ok(answer);
        }
        let socket = self.far.run(move |_far| tcp_socket(server)).await?.map_err(failed)?;
        ask_tcp(socket, server, &bytes, answers_us).await.map_err(failed)
    }
}

impl Servers {
    async fn list(&self) -> Vec<SocketAddr> {
        match self {
            Self::Fixed(servers) => servers.clone(),
            Self::File { path, read } => {
                let known = read.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match known {
                    Some((since, servers)) if since.elapsed() < FILE_AGE => servers,
                    known => {
                        let servers = read_servers(path)
                            .await
                            .unwrap_or_else(|| known.map(|known| known.1).unwrap_or_default());
                        *read.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some((Instant::now(), servers.clone()));
                        servers
                    }
                }
            }
        }
    }
}

async fn read_servers(path: &Path) -> Option<Vec<SocketAddr>> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Some(parse_servers(&text)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the list of name servers cannot be read");
            None
        }
    }
}

/// The servers of a `resolv.conf(5)`.
fn parse_servers(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let is_server = words.next() == Some("nameserver");
            words.next().filter(|_| is_server)?.parse::<IpAddr>().ok()
        })
        .map(|address| SocketAddr::new(address, PORT))
        .take(MAX_SERVERS)
        .collect()
}

/// Whether another server would hardly know better.
fn is_final(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

fn unspecified(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn udp_socket(local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(local)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tcp_socket(server: SocketAddr) -> io::Result<TcpSocket> {
    if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

async fn ask_udp(
    socket: std::net::UdpSocket,
    server: SocketAddr,
    question: &[u8],
    answers_us: impl Fn(&Message) -> bool,
) -> io::Result<Message> {
    let socket = UdpSocket::from_std(socket)?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else is not for us, or forged: the answer may yet come.
        if let Some(message) = read_answer(buffer.get(..length).unwrap_or_default())
            && answers_us(&message)
        {
            return Ok(message);
        }
    }
}

async fn ask_tcp(
    socket: TcpSocket,
    server: SocketAddr,
    question: &[u8],
    answers_us: impl Fn(&Message) -> bool,
) -> io::Result<Message> {
    let mut stream = socket.connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    read_answer(&buffer)
        .filter(answers_us)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the answer to the question"))
}

/// Reads a message with one question; before room is made for what a header announces.
fn read_answer(bytes: &[u8]) -> Option<Message> {
    if bytes.get(4..6) != Some(&[0, 1]) {
        return None;
    }
    Message::from_vec(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_servers_of_a_file_are_asked() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 10.0.0.1\n nameserver\t::1 # x\n\
                    nameserver\nnameserver nonsense\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let servers: Vec<String> = parse_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53", "10.0.0.2:53"]);
    }
}
