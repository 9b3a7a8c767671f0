//! `POST /pitlane/connect/{port}`: a stream to whatever listens on a port of this sandbox, for the server alone.
//!
//! The daemon dials as any process of the sandbox would, and passes bytes both ways without looking at them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, copy_buf, sink};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{Answer, Refusal, empty};
use crate::toolbox::Toolbox;

/// What the connection is switched to.
const PROTOCOL: &str = "pitlane-tunnel";

/// How long one address may take: on the sandbox's own it is a matter of microseconds, unless a program that listens
/// does not accept.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// Bytes that wait in one direction.
const BUFFER: usize = 16 * 1024;

/// An address that is never reached, only asked for the way to it.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Connects to a port and switches the connection over to it.
pub(crate) async fn connect(toolbox: &Toolbox, port: &str, request: Request<Incoming>) -> Answer {
    let port = parse(port).ok_or_else(|| Refusal::bad_request("a port is a number up to 65535"))?;
    let is_wished = request.headers().get(UPGRADE).is_some_and(|wished| wished == PROTOCOL);
    if !is_wished {
        return Err(Refusal::bad_request("this is for servers"));
    }
    let stream = dial(port).await.map_err(|refused| refused.told(port))?;
    let server = hyper::upgrade::on(request);
    toolbox.tasks().spawn(async move {
        // Whatever breaks, both ends see that it has ended.
        pass(server, stream).await.ok();
    });
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS)?;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(answer)
}

/// Why there is no stream.
#[derive(Debug, PartialEq, Eq)]
enum NotDialled {
    /// Nothing listens.
    Closed,
    /// Something listens and does not accept.
    Slow,
}

impl NotDialled {
    fn told(&self, port: NonZeroU16) -> Refusal {
        match self {
            Self::Closed => {
                let message = format!("nothing listens on port {port}");
                Refusal::new(StatusCode::BAD_GATEWAY, "PORT_CLOSED", message)
            }
            Self::Slow => {
                let message = format!("what listens on port {port} does not accept connections");
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, "PORT_SLOW", message)
            }
        }
    }
}

fn parse(text: &str) -> Option<NonZeroU16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Tries where programs listen: on the loopback addresses, and on the sandbox's own.
async fn dial(port: NonZeroU16) -> Result<TcpStream, NotDialled> {
    let mut outcome = NotDialled::Closed;
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for address in loopback.into_iter().map(Some).chain([None]) {
        // Asked for only where it matters.
        let Some(address) = address.or_else(own_address) else { continue };
        match timeout(DIAL_DEADLINE, TcpStream::connect(SocketAddr::new(address, port.get()))).await
        {
            Ok(Ok(stream)) => {
                // Answers are awaited; a connection that cannot be hurried works all the same.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Ok(Err(_refused)) => {}
            Err(_elapsed) => outcome = NotDialled::Slow,
        }
    }
    Err(outcome)
}

/// The address this sandbox has in its network, if it has one. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

/// Passes bytes both ways until the server hangs up or the program has said all it wants to say.
async fn pass(server: OnUpgrade, program: TcpStream) -> io::Result<()> {
    let server = TokioIo::new(server.await.map_err(io::Error::other)?);
    let (from_server, to_server) = tokio::io::split(server);
    let (from_program, to_program) = program.into_split();
    tokio::select! {
        said = speak(from_program, to_server) => said,
        heard = listen(from_server, to_program) => heard,
    }
}

/// What the program says, to its end.
async fn speak(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let said = copy_buf(&mut BufReader::with_capacity(BUFFER, from), &mut to).await;
    // What was said before it broke is heard.
    to.shutdown().await?;
    said.map(drop)
}

/// What the server says, to its end. A program that does not listen any more may still have something to say: what
/// nobody hears is dropped.
async fn listen(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    if copy_buf(&mut from, &mut to).await.is_err() {
        copy_buf(&mut from, &mut sink()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_and_nothing_else() {
        for (text, wanted) in [
            ("1", Some(1)),
            ("65535", Some(65535)),
            ("0", None),
            ("080", None),
            ("+80", None),
            ("65536", None),
            ("-1", None),
            ("80/x", None),
            ("", None),
            (" 80", None),
        ] {
            assert_eq!(parse(text).map(NonZeroU16::get), wanted, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_program_is_found_on_whichever_address_it_listens() {
        for address in [Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), own_address()].into_iter().flatten()
        {
            let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
            let port = NonZeroU16::new(listener.local_addr().unwrap().port()).unwrap();
            let (dialled, accepted) = tokio::join!(dial(port), listener.accept());
            assert!(dialled.is_ok() && accepted.is_ok(), "{address}");
            drop(listener);
            assert_eq!(dial(port).await.map(drop), Err(NotDialled::Closed));
        }
    }
}
