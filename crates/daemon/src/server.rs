//! Accepting connections, and the end of the daemon.
//!
//! Each connection is one task; what a request starts and must survive its connection is another. On SIGTERM the daemon
//! asks every process of the sandbox to end, waits for a while, kills what is left, and ends itself. In a sandbox only
//! the host can ask for that.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pitlane_sys::{Requester, TerminationRequests};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use crate::boot::{Inheritance, Listen, StartError, is_first_process};
use crate::http;
use crate::session;
use crate::toolbox::Toolbox;

/// How long processes have between SIGTERM and SIGKILL when the sandbox ends.
const GRACE: Duration = Duration::from_secs(3);
/// How long a client may take to send the head of its request.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How much of an answer waits in memory for each slow client, and how long the head of a request may be.
const MAX_BUFFER: usize = 64 << 10;
/// How long to wait after a failed accept: without descriptors, at once is too soon.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Whatever the daemon listens to.
pub(crate) struct Server {
    child_ended: Signal,
    requests: pipe::Receiver,
    listener: Listener,
}

impl Server {
    /// Begins to listen. Runs in a runtime, before the first process can end.
    pub(crate) fn open(listen: Listen, requests: TerminationRequests) -> Result<Self, StartError> {
        let child_ended = signal(SignalKind::child()).map_err(StartError::Runtime)?;
        // Not a pipe, but read like one.
        let requests = pipe::Receiver::from_owned_fd_unchecked(requests.into())
            .map_err(StartError::Runtime)?;
        Ok(Self { child_ended, requests, listener: Listener::open(listen)? })
    }

    /// Says hello and answers requests until SIGTERM; then every process of the sandbox has ended.
    pub(crate) async fn serve(
        self,
        toolbox: Toolbox,
        inheritance: &mut Inheritance,
    ) -> Result<(), StartError> {
        let Self { mut child_ended, mut requests, listener } = self;
        let toolbox = Arc::new(toolbox);
        inheritance.say_hello();
        // The kernel has whoever reads it wait for this processor, and what follows can wait.
        std::thread::yield_now();
        toolbox.processes().tidy();
        session::start_entrypoint(&toolbox);
        loop {
            tokio::select! {
                // A process that ended is handed on before anything new is begun.
                biased;
                _ = child_ended.recv() => { toolbox.processes().collect(); }
                () = asked_to_end(&mut requests) => break,
                () = listener.accept(&toolbox) => {}
            }
        }
        end_processes(&toolbox, &mut child_ended).await;
        Ok(())
    }
}

/// Waits for a request to end. Process 1 of a sandbox obeys the host alone: root inside may send it signals, too.
async fn asked_to_end(requests: &mut pipe::Receiver) {
    let mut record = [0; Requester::RECORD];
    // Whatever cannot be read counts as a request: without a way to be asked, the daemon would never end.
    while let Ok(Requester::RECORD) = requests.read(&mut record).await {
        if !(is_first_process() && matches!(Requester::of(&record), Requester::Inside(_))) {
            break;
        }
    }
}

async fn end_processes(toolbox: &Toolbox, child_ended: &mut Signal) {
    // Interactive shells do not end when they are asked to.
    toolbox.terminals().hang_up();
    toolbox.processes().terminate_all();
    let deadline = Instant::now().checked_add(GRACE).unwrap_or_else(Instant::now);
    while toolbox.processes().collect() {
        if timeout_at(deadline, child_ended.recv()).await.is_err() {
            break;
        }
    }
    toolbox.processes().kill_all().await;
    toolbox.terminals().farewell().await;
}

impl Listener {
    fn open(listen: Listen) -> Result<Self, StartError> {
        let (address, result) = match listen {
            Listen::Socket(socket) => {
                let opened = socket.set_nonblocking(true);
                let opened = opened.and_then(|()| UnixListener::from_std(socket));
                (String::from("the inherited socket"), opened.map(Self::Unix))
            }
            Listen::Address(address) => {
                let opened = match address.parse() {
                    Ok(address) => listen_tcp(address).map(Self::Tcp),
                    Err(_no_address) => UnixListener::bind(&address).map(Self::Unix),
                };
                (address, opened)
            }
        };
        result.map_err(|cause| StartError::Listen { address, cause })
    }

    async fn accept(&self, toolbox: &Arc<Toolbox>) {
        let accepted = match self {
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| start(toolbox, stream))
            }
            Self::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| start(toolbox, stream))
            }
        };
        if accepted.is_err() {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

fn listen_tcp(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn start(toolbox: &Arc<Toolbox>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let shared = Arc::clone(toolbox);
    let service = service_fn(move |request| {
        let toolbox = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(http::answer(toolbox, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    toolbox.tasks().spawn(async move {
        // A client that breaks its connection off is told nothing any more.
        connection.await.ok();
    });
}
