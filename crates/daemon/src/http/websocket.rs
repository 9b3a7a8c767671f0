//! WebSockets: taken over from a request, and closed so that the other side hears why (RFC 6455).

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::either::Either;

use super::answer::empty;
use super::body::Body;
use super::intake::{Held, Intake, TooMuch};
use super::refusal::Refusal;

/// How long a client may take to answer a close before the connection is cut.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// The longest reason of a close: a control frame holds 125 bytes, of which two are the code.
const MAX_REASON: usize = 123;

/// How much is read at once, and how much is written together, in bytes: there may be thousands of them.
const BUFFER: usize = 16 << 10;

/// The daemon's side of a WebSocket: a stream and a sink of messages.
pub(crate) type WebSocket = WebSocketStream<Metered>;

/// A connection that counts what is read of a message, as long as it is not complete.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Either<UnixStream, TokioIo<Upgraded>>,
    /// What was read before the WebSocket was there.
    early: Bytes,
    meter: Meter,
}

/// What the messages of a WebSocket take. The longest one so far counts until the socket is closed: its buffer stays.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Mutex<Metering>>);

#[derive(Debug)]
struct Metering {
    held: Held,
    /// How much was counted.
    most: usize,
    /// How much was read of the message that is not complete.
    current: usize,
    /// Whether there was no room for a message: nothing more is read then.
    is_over: bool,
}

/// A WebSocket that is there once the answer has gone out.
#[derive(Debug)]
pub(crate) struct Handover(OnUpgrade);

/// Whether a request asks to be switched to a WebSocket.
pub(crate) fn is_wished(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|wished| wished.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The subprotocols that a client offers, in its order.
pub(crate) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    names.map(str::trim).filter(|name| !name.is_empty())
}

/// Switches a request over to a WebSocket that speaks `subprotocol`, which must be one of those offered.
///
/// Give the answer back first: the WebSocket comes after it, so it is awaited in a task of its own.
pub(crate) fn accept(
    request: &mut Request<Incoming>,
    subprotocol: Option<&str>,
) -> Result<(Response<Body>, Handover), Refusal> {
    let headers = request.headers();
    if !is_wished(headers) {
        let message = "this is for WebSockets: ask with Upgrade: websocket";
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, "BAD_REQUEST", message));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::bad_request("only version 13 of WebSocket is spoken here"));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .ok_or_else(|| Refusal::bad_request("Sec-WebSocket-Key is required"))?;
    let accepted = header(&derive_accept_key(key.as_bytes()))?;
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS)?;
    let answered = answer.headers_mut();
    answered.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answered.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answered.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if let Some(subprotocol) = subprotocol {
        answered.insert(SEC_WEBSOCKET_PROTOCOL, header(subprotocol)?);
    }
    Ok((answer, Handover(hyper::upgrade::on(request))))
}

fn header(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text)
        .map_err(|_invalid| Refusal::bad_request("a WebSocket header is invalid"))
}

impl Handover {
    /// Waits for the WebSocket, on which a client may send messages of at most `longest` bytes; `None` when the client has
    /// gone before. What it says counts in `intake`.
    pub(crate) async fn socket(self, longest: usize, intake: &'static Intake) -> Option<WebSocket> {
        let upgraded = self.0.await.ok()?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(longest))
            .max_frame_size(Some(longest))
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        let metering = Metering { held: intake.hold(), most: 0, current: 0, is_over: false };
        // Files are sent to the socket itself.
        let (stream, early) = match upgraded.downcast::<TokioIo<UnixStream>>() {
            Ok(Parts { io, read_buf, .. }) => (Either::Left(io.into_inner()), read_buf),
            Err(upgraded) => (Either::Right(TokioIo::new(upgraded)), Bytes::new()),
        };
        let meter = Meter(Arc::new(Mutex::new(metering)));
        let stream = Metered { stream, early, meter };
        Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await)
    }
}

impl Metered {
    /// What counts its messages.
    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl Meter {
    fn lock(&self) -> MutexGuard<'_, Metering> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Call it with every message that was read: another one begins.
    pub(crate) fn next_message(&self) {
        self.lock().current = 0;
    }

    /// Whether reading failed because there was no room.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }
}

impl Metering {
    /// Counts what was read of a message.
    fn count(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.current = self.current.saturating_add(bytes);
        let more = self.current.saturating_sub(self.most);
        self.most = self.most.saturating_add(more);
        let counted = self.held.grow(more);
        self.is_over = counted.is_err();
        counted
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, early, meter } = self.get_mut();
        let mut metering = meter.lock();
        if metering.is_over {
            // The client has to get rid of the rest before it listens.
            let mut piece = [0; 4096];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(stream).poll_read(context, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if early.is_empty() {
            ready!(Pin::new(stream).poll_read(context, buffer))?;
        } else {
            buffer.put_slice(&early.split_to(early.len().min(buffer.remaining())));
        }
        let count = buffer.filled().len().saturating_sub(before);
        metering.count(count).map_err(|too_much| {
            // What was read before is still there.
            buffer.set_filled(before);
            io::Error::other(too_much)
        })?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// Sends a binary message as it is: the library would copy it.
///
/// Is one frame, the last of its message and not masked (RFC 6455, 5.1 and 5.2). When this is cancelled, the WebSocket is
/// of no more use.
///
/// # Errors
///
/// The client has gone.
pub(crate) async fn send_long(socket: &mut WebSocket, message: Bytes) -> Result<(), Error> {
    // What was said before goes first, and all of it: an answer to a ping may be under way.
    socket.flush().await?;
    let head = head(message.len());
    socket.get_mut().write_all_buf(&mut head.chain(message)).await?;
    Ok(())
}

/// The socket under a WebSocket, for whoever puts the bytes of a message into it without the way through this process.
#[derive(Debug)]
pub(crate) struct Raw<'a> {
    stream: &'a UnixStream,
    descriptor: Arc<OwnedFd>,
}

impl Raw<'_> {
    /// Begins a binary message, of which `length` bytes must follow; `None` where that is not possible, and nothing was
    /// sent.
    ///
    /// # Errors
    ///
    /// The client has gone.
    pub(crate) async fn begin(
        socket: &mut WebSocket,
        length: usize,
    ) -> Result<Option<Raw<'_>>, Error> {
        let Either::Left(stream) = &socket.get_ref().stream else { return Ok(None) };
        // Without a descriptor there are other ways.
        let Ok(descriptor) = stream.as_fd().try_clone_to_owned() else { return Ok(None) };
        // What was said before goes first, and all of it: an answer to a ping may be under way.
        socket.flush().await?;
        socket.get_mut().write_all_buf(&mut head(length)).await?;
        let Either::Left(stream) = &socket.get_ref().stream else { return Ok(None) };
        Ok(Some(Raw { stream, descriptor: Arc::new(descriptor) }))
    }

    /// Waits until the socket takes something.
    ///
    /// # Errors
    ///
    /// The socket cannot be asked.
    pub(crate) async fn writable(&self) -> io::Result<Arc<OwnedFd>> {
        // The kernel is asked: what others write the runtime does not know of.
        let ask = || {
            let mut asked = [PollFd::new(self.stream, PollFlags::OUT)];
            let ready = poll(&mut asked, Some(&Timespec::default()))?;
            if ready == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        self.stream.async_io(Interest::WRITABLE, ask).await?;
        Ok(Arc::clone(&self.descriptor))
    }
}

/// What is before the bytes of a binary message (RFC 6455, 5.2).
fn head(length: usize) -> BytesMut {
    const FINAL_BINARY: u8 = 0x82;
    let mut head = BytesMut::with_capacity(10);
    head.put_u8(FINAL_BINARY);
    // The shortest form that the length has is the only one that is allowed.
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => head.put_u8(length),
        (_, Ok(length)) => {
            head.put_u8(126);
            head.put_u16(length);
        }
        _ => {
            head.put_u8(127);
            head.put_u64(u64::try_from(length).unwrap_or(u64::MAX));
        }
    }
    head
}

/// Says why the conversation is over, and waits for a while until the client has heard it.
pub(crate) async fn close(mut socket: WebSocket, code: CloseCode, reason: &str) {
    let farewell = async {
        if say_close(&mut socket, code, reason).await {
            hear_close(&mut socket).await;
        }
    };
    // A client that does not answer has gone.
    timeout(CLOSE_DEADLINE, farewell).await.ok();
}

/// The same for a client that is to have everything that was sent, however slowly it takes it: waits until it has, or has
/// gone.
pub(crate) async fn close_patiently(mut socket: WebSocket, code: CloseCode, reason: &str) {
    if !say_close(&mut socket, code, reason).await {
        return;
    }
    timeout(CLOSE_DEADLINE, hear_close(&mut socket)).await.ok();
    // The other side ends once it has found the end of this one, after everything else.
    let stream = &mut socket.get_mut().stream;
    if stream.shutdown().await.is_ok() {
        tokio::io::copy(stream, &mut tokio::io::sink()).await.ok();
    }
}

/// Whether it could be said.
async fn say_close(socket: &mut WebSocket, code: CloseCode, reason: &str) -> bool {
    let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default();
    let frame = CloseFrame { code, reason: reason.into() };
    socket.send(Message::Close(Some(frame))).await.is_ok()
}

async fn hear_close(socket: &mut WebSocket) {
    // Cutting a connection on which something is still unread could take the farewell back.
    let meter = socket.get_ref().meter();
    while socket.next().await.is_some_and(|message| message.is_ok()) {
        meter.next_message();
    }
    if meter.is_over() {
        // Nothing of it is kept.
        tokio::io::copy(socket.get_mut(), &mut tokio::io::sink()).await.ok();
    }
}
